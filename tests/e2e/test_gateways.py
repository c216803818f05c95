"""The same table of cases through real Envoys and a real NGINX, started from the files in gateway/."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from cases import ANSWERS, CASES, Case, Front
from extauthz.cli.processes import Process, envoy_command, free_ports, nginx_command, render_gateway
from extauthz.cli.upstream import Upstream
from support.fronts import gateway
from support.running import Running, running
from support.stub_server import StubServer

GATEWAY_FILES = Path(__file__).parents[2] / "gateway"
OLDEST_ENVOY = Path(sys.prefix) / "envoy-1.36" / "envoy" / "_bin" / "envoy"
FRONTS = ("newest envoy", "oldest envoy", "nginx")


@pytest.fixture(scope="module")
def authorizer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    (port,) = free_ports(1)
    with (
        StubServer(port, ANSWERS) as stub,
        running(tmp_path_factory.mktemp("extauthz"), introspection=stub.url) as service,
    ):
        yield service


@pytest.fixture(scope="module")
def fronts(authorizer: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Front]]:
    upstream, *ports = free_ports(4)
    with ExitStack() as stack:
        stack.enter_context(Upstream(upstream))
        for name, port in zip(FRONTS, ports, strict=True):
            folder = tmp_path_factory.mktemp(name.replace(" ", "-"))
            stack.enter_context(_started(name, folder, port=port, upstream=upstream, authorizer=authorizer.gateway))
        yield {name: gateway(name, port, kind=name) for name, port in zip(FRONTS, ports, strict=True)}


@contextmanager
def _started(name: str, folder: Path, *, port: int, upstream: int, authorizer: int) -> Iterator[None]:
    kind = name.rsplit(maxsplit=1)[-1]
    (admin,) = free_ports(1)
    template = GATEWAY_FILES / ("envoy.yaml" if kind == "envoy" else "nginx.conf")
    ports = {10000: port, 10001: port, 10002: upstream, 9191: authorizer, 9901: admin}
    config = folder / template.name
    config.write_text(render_gateway(template, ports))
    command = envoy_command(config) if kind == "envoy" else nginx_command(config, folder)
    if name == "oldest envoy":
        assert OLDEST_ENVOY.exists(), f"{OLDEST_ENVOY} is missing: run `make install`"
        command[0] = str(OLDEST_ENVOY)
    with Process(name, command, log=folder / "log") as process:
        process.wait_for_http(f"http://127.0.0.1:{port}/healthz")
        yield


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_case_ends_the_same_way_through_every_gateway(fronts: dict[str, Front], front: str, case: Case) -> None:
    assert fronts[front].ask(case) == fronts[front].expected(case)
