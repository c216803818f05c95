"""What several test folders share: how many examples hypothesis tries, and the servers of others.

Hypothesis: `ci` by default, `long` with HYPOTHESIS_PROFILE=long (and a larger --timeout), as `make fuzz` does.
Pytest also finds the hook here that hears what each test shows.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from conformance.collect import pytest_itemcollected
from support import django_toolkit, oidc_provider
from support.django_toolkit import DjangoToolkit
from support.oidc_provider import OidcProvider
from support.postgres_server import PostgresServer
from support.real_server import RealServer

__all__ = ["pytest_itemcollected"]

settings.register_profile("ci", deadline=None, max_examples=250, print_blob=True)
settings.register_profile("long", deadline=None, max_examples=10_000, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def oidc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcProvider]:
    """One oidc-provider for all tests that ask for it."""
    with oidc_provider.running(tmp_path_factory.mktemp("oidc-provider")) as server:
        yield server


@pytest.fixture(scope="session")
def toolkit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DjangoToolkit]:
    """One django-oauth-toolkit for all tests that ask for it."""
    with django_toolkit.running(tmp_path_factory.mktemp("django-oauth-toolkit")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL for all tests that do not break it; each begins with an empty database."""
    with PostgresServer() as server:
        yield server


@pytest.fixture(params=["oidc", "toolkit"])
def real_server(request: pytest.FixtureRequest) -> RealServer:
    """Each of them in turn."""
    server: RealServer = request.getfixturevalue(request.param)
    return server
