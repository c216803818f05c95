"""One table of cases through the bare engine and through every door of a running extauthz: all agree."""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from cases import ANSWERS, CASES, Case, Front, Seen
from conformance.marks import parameters
from extauthz.app import build
from extauthz.authorizer import Authorizer
from extauthz.cli.processes import free_ports
from extauthz.config.load import load_service
from support.fronts import (
    engine,
    envoy_http_door,
    forward_auth_door,
    gateway_api_door,
    grpc_door,
    ingress_door,
    nginx_door,
)
from support.running import SECRET, running, write_files
from support.stub_server import StubServer

FRONTS = (
    "engine",
    "grpc on h2corn",
    "grpc on h2corn, raw headers",
    "grpc on grpcio",
    "http nginx",
    "http ingress-nginx",
    "http gateway-api",
    "http forward-auth",
    "http envoy",
)

SHOWN = {
    "grpc on h2corn, raw headers": ("E28",),
    "http nginx": ("N2",),
    "http ingress-nginx": ("N22",),
    "http gateway-api": ("N24",),
    "http forward-auth": ("N11",),
    "http envoy": ("E81",),
}
"""What each door shows by playing the table."""

BY_SERVER = Seen(status=400)
"""The HTTP server refuses the request line before any of our code runs."""

BAD_METADATA = Seen(status=400, reason="bad_metadata")

DIFFERENCES: dict[str, dict[str, Seen]] = {
    "http envoy": {  # here the path in question is part of a request line
        "path /admin%zz": BY_SERVER,
        "path /admin#x": BY_SERVER,
    },
    "http ingress-nginx": {  # it lets a client's copy of what it does not set itself through: the copy disagrees
        "another path in a header changes nothing": BAD_METADATA,
        "another host in a header changes nothing": BAD_METADATA,
    },
}
"""How a case ends otherwise at a door, by the name of the case. Always a refusal, never an allow."""


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
            ingress_door(h2corn.gateway),
            gateway_api_door(h2corn.gateway),
            forward_auth_door(h2corn.gateway),
            envoy_http_door(h2corn.gateway),
        ]
        yield {front.name: front for front in all_fronts}


def _builder(folder: Path, introspection: str) -> Callable[[], tuple[Authorizer, Callable[[], Awaitable[None]]]]:
    write_files(folder, introspection=introspection)

    def fresh() -> tuple[Authorizer, Callable[[], Awaitable[None]]]:
        config = load_service(folder / "extauthz.yaml", {"EXTAUTHZ_CLIENT_SECRET": SECRET})
        service = build(config)
        return service.authorizer, service.close

    return fresh


@pytest.mark.shows("S13", "E86")
@pytest.mark.parametrize(
    "front", [pytest.param(name, marks=pytest.mark.shows(*SHOWN.get(name, ()))) for name in FRONTS]
)
@pytest.mark.parametrize("case", parameters(CASES))
def test_each_case_ends_the_same_way_through_every_door(fronts: dict[str, Front], front: str, case: Case) -> None:
    expected = DIFFERENCES.get(front, {}).get(case.name, case.expected)
    assert fronts[front].ask(case) == expected


def test_a_difference_names_a_case_and_refuses() -> None:
    """A list of exceptions must not hide anything: each is needed, and none lets a request pass."""
    expected = {case.name: case.expected for case in CASES}
    for exceptions in DIFFERENCES.values():
        for name, seen in exceptions.items():
            assert seen != expected[name]
            assert (seen.status, seen.identity) == (400, None)
