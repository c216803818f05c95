"""One table of cases through the bare engine and through every door of a running extauthz: all agree."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from cases import ANSWERS, CASES, Case, Front
from extauthz.app import build
from extauthz.authorizer import Authorizer
from extauthz.cli.processes import free_ports
from extauthz.config.load import load_service
from support.fronts import engine, grpc_door, nginx_door
from support.running import SECRET, running, write_files
from support.stub_server import StubServer

FRONTS = ("engine", "grpc on h2corn", "grpc on h2corn, raw headers", "grpc on grpcio", "http nginx")


@pytest.fixture(scope="module")
def fronts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Front]]:
    (port,) = free_ports(1)
    with (
        StubServer(port, ANSWERS) as stub,
        running(tmp_path_factory.mktemp("h2corn"), introspection=stub.url) as h2corn,
        running(tmp_path_factory.mktemp("grpcio"), introspection=stub.url, grpc_server="grpcio") as grpcio,
    ):
        all_fronts = [
            engine(_builder(tmp_path_factory.mktemp("engine"), stub.url)),
            grpc_door(FRONTS[1], h2corn.grpc, raw_headers=False),
            grpc_door(FRONTS[2], h2corn.grpc, raw_headers=True),
            grpc_door(FRONTS[3], grpcio.grpc, raw_headers=False),
            nginx_door(h2corn.gateway),
        ]
        yield {front.name: front for front in all_fronts}


def _builder(folder: Path, introspection: str) -> Callable[[], tuple[Authorizer, Callable[[], Awaitable[None]]]]:
    write_files(folder, introspection=introspection)

    def fresh() -> tuple[Authorizer, Callable[[], Awaitable[None]]]:
        config = load_service(folder / "extauthz.yaml", {"EXTAUTHZ_CLIENT_SECRET": SECRET})
        service = build(config)
        return service.authorizer, service.close

    return fresh


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_case_ends_the_same_way_through_every_door(fronts: dict[str, Front], front: str, case: Case) -> None:
    assert fronts[front].ask(case) == case.expected
