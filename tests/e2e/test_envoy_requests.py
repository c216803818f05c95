"""Requests of other kinds through a real Envoy: gRPC calls, WebSockets, detours in the path, a token that is withheld."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from cases import ANSWERS
from support.envoy import RunningEnvoy, running_envoy
from support.http1 import exchange
from support.running import Running, running
from support.stub_server import AUDIENCE, StubServer

HOST = ("Host", "api.example.com")
READER = ("Authorization", "Bearer reader")
SECONDS = 30.0

POLICY = f"""
version: 1
realm: api
defaults:
  authorization_server: main
  audience: {AUDIENCE}
routes:
  - {{name: health, path: /healthz, allow: anonymous}}
  - {{name: read-order, path: "/orders/{{id}}", methods: [GET], scopes: [orders:read]}}
  - {{name: open, path: /open, methods: [PUT], scopes: [orders:read], allow_preflight: true}}
  - {{name: withheld, path: /withheld, methods: [GET], scopes: [], forward_token: false}}
  - {{name: read-call, path: /shop.Orders/Read, methods: [POST], scopes: [orders:read]}}
  - {{name: write-call, path: /shop.Orders/Write, methods: [POST], scopes: [orders:write]}}
"""

WITH_WEBSOCKETS = {
    "stat_prefix: ingress\n": "stat_prefix: ingress\n          upgrade_configs: [{upgrade_type: websocket}]\n"
}


BY_HOST = """
version: 1
realm: api
defaults: {authorization_server: main}
routes:
  - {name: health, path: /healthz, allow: anonymous}
  - {name: elsewhere, path: "/**", scopes: [orders:read]}
  - {name: open, host: open.example.com, path: "/**", allow: anonymous}
"""

WITH_TWO_HOSTS = {
    "            virtual_hosts:\n": """            virtual_hosts:
            - name: open
              domains: [open.example.com]
              routes: [{match: {prefix: /}, direct_response: {status: 200, body: {inline_string: open}}}]
"""
}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEnvoy]:
    folder = tmp_path_factory.mktemp("envoy")
    with (
        StubServer(ANSWERS) as stub,
        running(folder, introspection=stub.url, policy=POLICY) as service,
        running_envoy(folder, service.gateway, edit=WITH_WEBSOCKETS) as gateway,
    ):
        yield gateway


@pytest.fixture
def envoy(started: RunningEnvoy) -> RunningEnvoy:
    started.upstream.received.clear()
    return started


def status_of_call(port: int, method: str, token: str) -> grpc.StatusCode:
    """How a gRPC call ends. It never succeeds: the application here speaks no gRPC."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(f"/shop.Orders/{method}")
        with pytest.raises(grpc.RpcError) as failed:
            call(b"", metadata=(("authorization", f"Bearer {token}"),) if token else (), timeout=SECONDS)
    status: grpc.StatusCode = failed.value.code()
    return status


@pytest.mark.shows("E44")
@pytest.mark.parametrize(
    ("method", "token", "expected"),
    [
        ("Read", "", grpc.StatusCode.UNAUTHENTICATED),
        ("Read", "unknown", grpc.StatusCode.UNAUTHENTICATED),
        ("Write", "reader", grpc.StatusCode.PERMISSION_DENIED),
        ("Delete", "reader", grpc.StatusCode.PERMISSION_DENIED),
        ("Read", "status-500", grpc.StatusCode.UNAVAILABLE),
    ],
)
def test_a_grpc_call_is_judged_by_its_path_and_refused_with_a_grpc_status(
    envoy: RunningEnvoy, method: str, token: str, expected: grpc.StatusCode
) -> None:
    """Envoy turns our HTTP status into one."""
    assert status_of_call(envoy.port, method, token) is expected
    assert envoy.upstream.received == []


@pytest.mark.shows("E44")
def test_a_grpc_call_that_may_pass_reaches_the_application(envoy: RunningEnvoy) -> None:
    """Where it fails; not with us."""
    status_of_call(envoy.port, "Read", "reader")
    (received,) = envoy.upstream.received
    assert (received.target, received.values("x-auth-sub")) == ("/shop.Orders/Read", ["u1"])


@pytest.mark.shows("E45")
def test_the_handshake_of_a_websocket_is_judged_like_any_request(envoy: RunningEnvoy) -> None:
    upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ]
    assert exchange(envoy.port, "GET", "/orders/1", [HOST, *upgrade])[0] == 401
    assert exchange(envoy.port, "GET", "/orders/1", [HOST, ("Authorization", "Bearer no-scope"), *upgrade])[0] == 403
    assert envoy.upstream.received == []
    exchange(envoy.port, "GET", "/orders/1", [HOST, READER, *upgrade])
    (received,) = envoy.upstream.received
    assert (received.values("upgrade"), received.values("x-auth-sub")) == (["websocket"], ["u1"])


@pytest.mark.shows("E21")
@pytest.mark.parametrize(("target", "token"), [("/orders/1", ["Bearer reader"]), ("/withheld", [])])
def test_the_application_gets_the_token_unless_the_policy_withholds_it(
    envoy: RunningEnvoy, target: str, token: list[str]
) -> None:
    assert exchange(envoy.port, "GET", target, [HOST, READER])[0] == 200
    (received,) = envoy.upstream.received
    assert received.values("authorization") == token


PREFLIGHT = [("Origin", "https://app.example.com"), ("Access-Control-Request-Method", "PUT")]
FORGED = [("X-Auth-Sub", "root"), ("X-Auth-Scope", "admin")]


@pytest.mark.shows("E43", "S60", "E16")
def test_a_preflight_passes_without_identity_where_the_route_lets_it(envoy: RunningEnvoy) -> None:
    """And nothing else passes for being like one."""
    assert exchange(envoy.port, "OPTIONS", "/open", [HOST, *PREFLIGHT, *FORGED])[0] == 200
    (received,) = envoy.upstream.received
    assert (received.method, received.values("x-auth-sub"), received.values("x-auth-scope")) == ("OPTIONS", [], [])
    assert exchange(envoy.port, "OPTIONS", "/open", [HOST, PREFLIGHT[0]])[0] == 403
    assert exchange(envoy.port, "OPTIONS", "/orders/1", [HOST, *PREFLIGHT])[0] == 403
    assert len(envoy.upstream.received) == 1


@pytest.mark.shows("S11")
def test_browsers_may_show_the_challenge_where_preflights_pass(envoy: RunningEnvoy) -> None:
    _, headers, _ = exchange(envoy.port, "PUT", "/open", [HOST, PREFLIGHT[0]])
    assert (headers["access-control-expose-headers"], headers["cache-control"]) == (["WWW-Authenticate"], ["no-store"])


@pytest.mark.shows("E90")
@pytest.mark.parametrize("target", ["/healthz/../orders/1", "/healthz/%2e%2e/orders/1", "//orders//1", "/orders/./1"])
def test_a_detour_is_judged_as_it_is_served(envoy: RunningEnvoy, target: str) -> None:
    """By the rule of the path that the application gets."""
    assert exchange(envoy.port, "GET", target, [HOST])[0] == 401
    assert exchange(envoy.port, "GET", target, [HOST, READER])[0] == 200
    assert [received.target for received in envoy.upstream.received] == ["/orders/1"]


@pytest.fixture(scope="module")
def by_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("by-host")
    with StubServer(ANSWERS) as stub, running(folder, introspection=stub.url, policy=BY_HOST) as service:
        yield service


@pytest.mark.parametrize("file", ["envoy.yaml", "envoy-http-service.yaml"])
def test_the_host_that_is_judged_is_the_host_that_serves(tmp_path: Path, by_host: Running, file: str) -> None:
    """A port and a trailing dot make no other host: neither for the policy, nor where Envoy chooses a virtual host."""
    spellings = (
        "open.example.com",
        "OPEN.example.com",
        "open.example.com:81",
        "open.example.com.",
        "open.example.com.:81",
    )
    with running_envoy(tmp_path, by_host.gateway, file=file, ops=by_host.ops, edit=WITH_TWO_HOSTS) as envoy:
        envoy.upstream.received.clear()
        answers = {host: exchange(envoy.port, "GET", "/", [("Host", host)]) for host in spellings}
    assert {host: body for host, (_, _, body) in answers.items()} == dict.fromkeys(spellings, b"open")
    assert envoy.upstream.received == []
