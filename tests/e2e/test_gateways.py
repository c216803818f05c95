"""Each vector ends the same way through real gateways, started from the files in gateway/."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from cases import ANSWERS, CASES, Case, Request
from conformance.marks import parameters
from extauthz.cli.processes import free_ports
from extauthz.cli.upstream import Upstream
from support.fronts import Front, misfits
from support.gateways import GATEWAYS, started
from support.running import PerPolicy, running
from support.stub_server import StubServer

PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PerPolicy[list[Front]]]:
    """All gateways, before an extauthz that is started again, on the same ports, for another policy."""
    upstream, *ours = free_ports(4)
    ports = (ours[0], ours[1], ours[2])
    with ExitStack() as stack:
        stack.enter_context(Upstream(upstream))
        stub = stack.enter_context(StubServer(ANSWERS))
        fronts = [
            stack.enter_context(
                started(name, tmp_path_factory.mktemp("gateway"), upstream=upstream, authorizer=ports[:2])
            )
            for name in GATEWAYS
        ]
        behind = _before(fronts, stub, tmp_path_factory.mktemp("extauthz"), ports)
        yield stack.enter_context(PerPolicy(behind))


def _before(
    fronts: list[Front], stub: StubServer, folder: Path, ports: tuple[int, int, int]
) -> Callable[[str], AbstractContextManager[list[Front]]]:
    @contextmanager
    def restarted(policy: str) -> Iterator[list[Front]]:
        with running(folder, introspection=stub.url, stranger=stub.stranger, policy=policy, ports=ports, timeout="4s"):
            for front in fronts:
                _wait_for(front)
            yield fronts

    return restarted


def _wait_for(front: Front) -> None:
    """Return once the gateway has found extauthz."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while front.ask(Request(target="/")).status >= 500:
        assert time.monotonic() < deadline, f"{front.name} does not find extauthz"
        time.sleep(0.05)


@pytest.mark.shows("S12", "S13", "E81", "E86", "N7", "N58")
@pytest.mark.parametrize("case", parameters(CASES))
def test_each_vector_ends_the_same_way_through_every_gateway(gateways: PerPolicy[list[Front]], case: Case) -> None:
    found = misfits(case, gateways.of(case.policy))
    assert not found, "\n".join(found)
