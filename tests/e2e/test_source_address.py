"""Whose bad tokens are counted, behind real gateways: the address that the gateway sees, whatever the client writes."""

import http.client
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from extauthz.cli.processes import Process, envoy_command, free_ports, nginx_command
from extauthz.cli.upstream import Upstream
from support.gateways import envoy_binary, patient
from support.running import Running, running
from support.stub_server import StubServer, active

BURST = 3
LIMIT = f"inactive_limit: {{per_minute: 1, burst: {BURST}}}"
GATEWAYS = {
    "envoy": "envoy.yaml",
    "envoy http_service": "envoy-http-service.yaml",
    "nginx": "nginx.conf",
    "caddy": "Caddyfile",
}
"""Each gateway, and the file in gateway/ that it is started from."""

SPOOFED = ("X-Forwarded-For", "X-Original-Remote-Addr", "X-Real-IP", "X-Envoy-External-Address", "Forwarded")
CLIENTS = {name: f"127.0.0.{number}" for number, name in enumerate(GATEWAYS, start=11)}
"""One address for each gateway, so that one extauthz can serve them all."""


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    upstream, *ports = free_ports(1 + len(GATEWAYS))
    with ExitStack() as stack:
        stub = stack.enter_context(StubServer({"good": active}))
        service = stack.enter_context(running(tmp_path_factory.mktemp("extauthz"), introspection=stub.url, extra=LIMIT))
        stack.enter_context(Upstream(upstream))
        found = dict(zip(GATEWAYS, ports, strict=True))
        for name, port in found.items():
            folder = tmp_path_factory.mktemp(name.replace(" ", "-"))
            stack.enter_context(_started(name, folder, port=port, upstream=upstream, service=service))
        yield found


@contextmanager
def _started(name: str, folder: Path, *, port: int, upstream: int, service: Running) -> Iterator[None]:
    (admin,) = free_ports(1)
    fronts = {10000: port, 10001: port, 10003: port, 9901: admin}
    text = patient(GATEWAYS[name], {**fronts, 10002: upstream, 9191: service.gateway, 9192: service.ops})
    config = folder / GATEWAYS[name]
    config.write_text(text)
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
    return [envoy_binary("newest"), *envoy_command(config)[1:]]


def ask(name: str, port: int, token: str, spoofed: str = "") -> int:
    """The status of a request from the client of this gateway, who may write an address into every header there is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(CLIENTS[name], 0))
    headers = {"Host": "api.example.com", "Authorization": f"Bearer {token}"}
    headers |= dict.fromkeys(SPOOFED, spoofed) if spoofed else {}
    try:
        connection.request("GET", "/orders/1", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("name", GATEWAYS)
@pytest.mark.shows("S40")
def test_the_gateway_says_whose_token_it_is_and_the_client_cannot(ports: dict[str, int], name: str) -> None:
    """It names another address with every token, and all are counted as one; a known token passes meanwhile."""
    port = ports[name]
    assert ask(name, port, "good") == 200
    tokens = {f"{name.replace(' ', '-')}-{number}": f"198.51.100.{number}" for number in range(1, BURST + 4)}
    statuses = [ask(name, port, token, spoofed) for token, spoofed in tokens.items()]
    assert statuses == [401] * BURST + [429] * 3
    assert ask(name, port, "good") == 200
