"""Each vector ends the same way through the bare engine and through every door of a running extauthz."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import grpc
import pytest

from cases import ANSWERS, CASES, Case
from conformance.marks import parameters
from extauthz.app import build
from extauthz.config.load import load_service
from fuzz.questions import Form
from support.fronts import (
    Engine,
    Front,
    envoy_http_door,
    forward_auth_door,
    gateway_api_door,
    grpc_door,
    ingress_door,
    misfits,
    nginx_door,
)
from support.running import Files, PerPolicy, running, write_files
from support.stub_server import SECRET, StubServer

PATIENCE = "6s"
"""Far from what any answer takes on a busy machine, but those that never come."""


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PerPolicy[list[Front]]]:
    """All doors, for one policy at a time."""
    with StubServer(ANSWERS) as stub, PerPolicy(_doors(tmp_path_factory, stub)) as doors:
        yield doors


def _doors(
    tmp_path_factory: pytest.TempPathFactory, stub: StubServer
) -> Callable[[str], AbstractContextManager[list[Front]]]:
    @contextmanager
    def opened(policy: str) -> Iterator[list[Front]]:
        files: Files = {"policy": policy, "stranger": stub.stranger, "timeout": PATIENCE}
        folders = [tmp_path_factory.mktemp(name) for name in ("engine", "h2corn", "grpcio")]
        with (
            _engine(folders[0], stub, files) as engine,
            running(folders[1], introspection=stub.url, **files) as h2corn,
            running(folders[2], introspection=stub.url, **(files | {"grpc_server": "grpcio"})) as grpcio,
            grpc.insecure_channel(f"127.0.0.1:{h2corn.grpc}") as to_h2corn,
            grpc.insecure_channel(f"127.0.0.1:{grpcio.grpc}") as to_grpcio,
        ):
            yield [
                engine.front,
                grpc_door("grpc on h2corn", to_h2corn, Form.MAP),
                grpc_door("grpc on h2corn, raw headers", to_h2corn, Form.RAW),
                grpc_door("grpc on grpcio", to_grpcio, Form.MAP),
                grpc_door("grpc on grpcio, raw headers", to_grpcio, Form.RAW),
                nginx_door(h2corn.gateway),
                ingress_door(h2corn.gateway),
                gateway_api_door(h2corn.gateway),
                forward_auth_door(h2corn.gateway),
                envoy_http_door(h2corn.gateway),
            ]

    return opened


def _engine(folder: Path, stub: StubServer, files: Files) -> Engine:
    write_files(folder, introspection=stub.url, **files)
    return Engine(build(load_service(folder / "extauthz.yaml", {"EXTAUTHZ_CLIENT_SECRET": SECRET})))


@pytest.mark.shows("S13", "E28", "E81", "E86", "N2", "N11", "N22", "N24")
@pytest.mark.parametrize("case", parameters(CASES))
def test_each_vector_ends_the_same_way_through_every_door(doors: PerPolicy[list[Front]], case: Case) -> None:
    found = misfits(case, doors.of(case.policy))
    assert not found, "\n".join(found)
