"""What several of these tests share."""

from collections.abc import Iterator

import pytest

from cases import ANSWERS
from support.running import Running, running
from support.stub_server import StubServer


@pytest.fixture(scope="session")
def authorizer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One extauthz with the usual policy and all doors, for tests that change nothing about it."""
    with StubServer(ANSWERS) as stub, running(tmp_path_factory.mktemp("extauthz"), introspection=stub.url) as service:
        yield service
