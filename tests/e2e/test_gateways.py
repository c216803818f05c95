"""The same table of cases through real gateways, started from the files in gateway/."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from cases import ANSWERS, BY_GATEWAY, CASES, NO_ROUTE, WITHOUT_BODY, Case, Front, Seen
from conformance.marks import parameters
from extauthz.cli.processes import Process, envoy_command, free_ports, nginx_command, render_gateway
from extauthz.cli.upstream import Upstream
from support.fronts import gateway
from support.gateways import GATEWAY_FILES, envoy_binary
from support.running import Running, running
from support.stub_server import StubServer

FRONTS = {
    "newest envoy": "envoy.yaml",
    "oldest envoy": "envoy.yaml",
    "nginx": "nginx.conf",
    "newest envoy http_service": "envoy-http-service.yaml",
    "oldest envoy http_service": "envoy-http-service.yaml",
    "caddy": "Caddyfile",
}
"""Each gateway, and the file in gateway/ that it is started from."""

SHOWN = {
    "newest envoy": (),
    "oldest envoy": (),
    "nginx": ("S12", "N7", "N58"),
    "newest envoy http_service": ("E81",),
    "oldest envoy http_service": ("E81",),
    "caddy": (),
}
"""What each gateway shows by playing the table."""

LOST = Seen(status=503, retry_after="1")
"""What is left of any 5xx of ours through http_service: it is an error to Envoy, which answers for itself."""

_HTTP_SERVICE = {"path /admin%zz": BY_GATEWAY}  # here it is part of a request line, which the HTTP server refuses
DIFFERENCES: dict[str, dict[str, Seen]] = {
    "newest envoy http_service": _HTTP_SERVICE,
    "oldest envoy http_service": _HTTP_SERVICE,
    "caddy": {
        "HEAD is not GET": WITHOUT_BODY,
        "path /admin%zz": BY_GATEWAY,
        "path /admin#x": NO_ROUTE,  # it is /admin%23x here, for extauthz and for the application
    },
}
"""How a case ends otherwise at a gateway, by the name of the case."""


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
    upstream, *ports = free_ports(1 + len(FRONTS))
    with ExitStack() as stack:
        stack.enter_context(Upstream(upstream))
        for name, port in zip(FRONTS, ports, strict=True):
            folder = tmp_path_factory.mktemp(name.replace(" ", "-"))
            stack.enter_context(_started(name, folder, port=port, upstream=upstream, authorizer=authorizer))
        yield {
            name: gateway(name, port, kind=name.removesuffix(" http_service"))
            for name, port in zip(FRONTS, ports, strict=True)
        }


@contextmanager
def _started(name: str, folder: Path, *, port: int, upstream: int, authorizer: Running) -> Iterator[None]:
    (admin,) = free_ports(1)
    template = GATEWAY_FILES / FRONTS[name]
    ports = {10000: port, 10001: port, 10003: port, 10002: upstream, 9191: authorizer.gateway, 9192: authorizer.ops}
    config = folder / template.name
    config.write_text(render_gateway(template, {**ports, 9901: admin}))
    home = {"XDG_CONFIG_HOME": str(folder), "XDG_DATA_HOME": str(folder)}  # Caddy writes there
    with Process(name, _command(name, config), log=folder / "log", env=home) as process:
        process.wait_for_http(f"http://127.0.0.1:{port}/healthz")
        yield


def _command(name: str, config: Path) -> list[str]:
    if name == "nginx":
        return nginx_command(config, config.parent)
    if name == "caddy":
        assert shutil.which("caddy"), "Caddy is not installed: apt-get install caddy"
        return ["caddy", "run", "--config", str(config), "--adapter", "caddyfile"]
    return [envoy_binary(name.split(maxsplit=1)[0]), *envoy_command(config)[1:]]


def _expected(front: Front, case: Case) -> Seen:
    """What the case should end with, as the gateway changes it."""
    expected = DIFFERENCES.get(front.name, {}).get(case.name) or front.expected(case)
    if front.name.endswith("http_service") and expected.status >= 500:
        return LOST
    return expected


@pytest.mark.shows("S13", "E86")
@pytest.mark.parametrize("front", [pytest.param(name, marks=pytest.mark.shows(*SHOWN[name])) for name in FRONTS])
@pytest.mark.parametrize("case", parameters(CASES))
def test_each_case_ends_the_same_way_through_every_gateway(fronts: dict[str, Front], front: str, case: Case) -> None:
    assert fronts[front].ask(case) == _expected(fronts[front], case)
