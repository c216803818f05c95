"""What the vectors do not ask of the gateways that speak HTTP to extauthz: mistakes, upgrades, nobody there."""

import http.client
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from extauthz.cli.processes import Process, envoy_command, free_ports
from extauthz.cli.upstream import Received, Upstream
from support.gateways import GATEWAY_FILES, caddy_command, patient
from support.running import Running

ENVOY = GATEWAY_FILES / "envoy-http-service.yaml"
CADDY = GATEWAY_FILES / "Caddyfile"
GOOD = {"Authorization": "Bearer reader"}
BAD = {"Authorization": "Bearer unknown"}
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@dataclass
class Gateway:
    """A running gateway, and the application behind it."""

    port: int
    upstream: Upstream

    def ask(self, target: str, headers: dict[str, str], method: str = "GET") -> tuple[int, list[Received]]:
        """Send a request; the status, and what the application got."""
        self.upstream.received.clear()
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, target, headers=headers)
            return connection.getresponse().status, list(self.upstream.received)


Start = Callable[..., Gateway]


@pytest.fixture
def start(authorizer: Running, tmp_path: Path) -> Iterator[Start]:
    """Start a gateway from its file, with lines of it replaced, in front of the authorizer or of nobody."""
    with ExitStack() as stack:

        def started(file: Path, *, replaced: dict[str, str] | None = None, alone: bool = False) -> Gateway:
            port, admin, app, nobody = free_ports(4)
            config = tmp_path / file.name
            asked = {9191: nobody, 9192: nobody} if alone else {9191: authorizer.gateway, 9192: authorizer.ops}
            ports = {10000: port, 10003: port, 9901: admin, 10002: app, **asked}
            config.write_text(_replace(patient(file.name, ports), replaced or {}))
            upstream = stack.enter_context(Upstream(app))
            home = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
            command = envoy_command(config) if file == ENVOY else caddy_command(config)
            process = stack.enter_context(Process(file.name, command, log=tmp_path / "log", env=home))
            process.wait_for_port(port)
            if file == ENVOY and not alone:  # until then, there is no healthy extauthz to ask
                process.wait_for_http(f"http://127.0.0.1:{admin}/ready")
            return Gateway(port, upstream)

        yield started


def _replace(text: str, replaced: dict[str, str]) -> str:
    for old, new in replaced.items():
        assert re.search(old, text), f"{old} is not in the file any more"
        text = re.sub(old, new, text)
    return text


@pytest.mark.parametrize("file", [ENVOY, CADDY], ids=lambda file: file.name)
def test_with_nobody_to_ask_nothing_passes(start: Start, file: Path) -> None:
    """No answer is a no."""
    gateway = start(file, alone=True)
    status, received = gateway.ask("/orders/1", GOOD)
    assert (status, received) == (503 if file == ENVOY else 502, [])


@pytest.mark.shows("E82")
@pytest.mark.parametrize(
    ("replaced", "refused"),
    [
        ({"path_prefix: /envoy": "path_prefix: /envoy/"}, 400),
        ({"path_prefix: /envoy": "path_prefix: /envoyer"}, 404),
        ({"path_prefix: /envoy": "path_prefix: /"}, 404),
        ({"path_prefix: /envoy": ""}, 404),
        ({"path_prefix: /envoy": "path_override: /envoy"}, 503),
        ({"path_prefix: /envoy": "path_override: /envoy/"}, 403),
        ({"path_prefix: /envoy": "path_prefix: /nginx"}, 404),
        ({"path_prefix: /envoy": "path_override: /nginx"}, 503),
        ({"path_prefix: /envoy": "path_override: /forward-auth"}, 503),
    ],
    ids=lambda value: next(iter(value.values())) if isinstance(value, dict) else "",
)
def test_an_envoy_that_asks_in_the_wrong_way_lets_nothing_pass(
    start: Start, replaced: dict[str, str], refused: int
) -> None:
    """Not even what is public: a mistake in the file shows at once."""
    gateway = start(ENVOY, replaced=replaced)
    assert gateway.ask("/orders/1", GOOD) == (refused, [])
    assert gateway.ask("/healthz", {"X-Original-Method": "GET", "X-Forwarded-Uri": "/healthz"}) == (refused, [])


@pytest.mark.parametrize("target", ["/orders/%zz", "/healthz%", "/orders/1%"])
def test_a_path_that_no_url_can_have_is_a_no_and_not_an_error(start: Start, target: str) -> None:
    """Also where errors pass: over HTTP/2 it would be one, and its sender would have found a way in."""
    gateway = start(ENVOY, replaced={"failure_mode_allow: false": "failure_mode_allow: true"})
    assert gateway.ask(target, GOOD) == (400, [])
    assert gateway.ask("/orders/1", GOOD)[0] == 200


@pytest.mark.shows("S50")
@pytest.mark.parametrize("file", [ENVOY, CADDY], ids=lambda file: file.name)
@pytest.mark.parametrize("name", ["X_Auth_Sub", "X.Auth.Sub", "x-auth_scope", "X.Auth-Scope"])
def test_another_spelling_of_an_identity_never_arrives(start: Start, file: Path, name: str) -> None:
    """Refused, or removed: many an application reads it as the real one."""
    status, received = start(file).ask("/orders/1", {**GOOD, name: "root"})
    assert status == 400 or [each.values(name) for each in received] == [[]]


def test_a_large_body_goes_to_the_application_and_not_to_extauthz(start: Start) -> None:
    """It is more than extauthz would take."""
    for file in (ENVOY, CADDY):
        gateway = start(file)
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=30) as client:
            head = "POST /admin/x HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer admin\r\nContent-Length: 1000000\r\n\r\n"
            client.sendall(head.encode() + b"x" * 1_000_000)
            assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert [each.body_bytes for each in gateway.upstream.received] == [1_000_000]


def test_the_handshake_of_a_websocket_is_judged_as_a_request_and_made_with_the_application(start: Start) -> None:
    """We are asked about it, and not asked for a WebSocket ourselves."""
    gateway = start(CADDY)
    assert gateway.ask("/orders/1", {**BAD, **UPGRADE}) == (401, [])
    status, (received,) = gateway.ask("/orders/1", {**GOOD, **UPGRADE})
    assert (status, received.values("Upgrade"), received.values("X-Auth-Sub")) == (200, ["websocket"], ["u1"])
