"""What a running extauthz does with odd questions on the wire, and in an outage; both gRPC servers where it matters."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import grpc
import pytest

from cases import ANSWERS
from extauthz.cli.processes import free_ports
from extauthz.wire.envoy.service import CHECK_PATH, HEALTH_PATH, MAX_MESSAGE_BYTES
from support.running import Running, running
from support.serving import call, get, metadata, records, wait_until
from support.stub_server import StubServer

SERVING = b"\x08\x01"
SECONDS = 30.0


@pytest.fixture(scope="module")
def stub() -> Iterator[StubServer]:
    with StubServer(dict(ANSWERS)) as server:
        yield server


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, stub: StubServer) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("h2corn"), introspection=stub.url) as started:
        yield started


@pytest.fixture(scope="module")
def on_grpcio(tmp_path_factory: pytest.TempPathFactory, stub: StubServer) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("grpcio"), introspection=stub.url, grpc_server="grpcio") as started:
        yield started


def grpc_status(port: int, path: str, message: bytes) -> grpc.StatusCode:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError) as failed:
        call(channel, path, message)
    status: grpc.StatusCode = failed.value.code()
    return status


@pytest.mark.shows("E59")
@pytest.mark.parametrize(
    "service_name", ["envoy.service.auth.v2.Authorization", "envoy.service.auth.v2alpha.Authorization"]
)
def test_an_older_version_of_the_protocol_is_unimplemented(service: Running, service_name: str) -> None:
    assert grpc_status(service.grpc, f"/{service_name}/Check", b"") is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.shows("E58")
def test_a_message_beyond_the_limit_is_not_answered(service: Running, on_grpcio: Running) -> None:
    """Each server has its own status for it; neither is an answer that could allow."""
    too_large = b"\x9a\x06" + bytes([0x80, 0x80, 0x40]) + b"x" * (MAX_MESSAGE_BYTES * 4)
    assert grpc_status(service.grpc, CHECK_PATH, too_large) is grpc.StatusCode.INTERNAL
    assert grpc_status(on_grpcio.grpc, CHECK_PATH, too_large) is grpc.StatusCode.RESOURCE_EXHAUSTED


def frame(kind: int, payload: bytes = b"") -> bytes:
    """An HTTP/2 frame of stream 0 without flags."""
    return len(payload).to_bytes(3) + bytes([kind, 0]) + bytes(4) + payload


def frame_kinds(octets: bytes) -> list[int]:
    kinds = []
    while len(octets) >= 9:  # the last one may be on its way
        kinds.append(octets[3])
        octets = octets[9 + int.from_bytes(octets[:3]) :]
    return kinds


SETTINGS, PING, GOAWAY = 4, 6, 7


@pytest.mark.shows("E70")
@pytest.mark.parametrize(("server", "pings", "pause"), [("h2corn", 30, 0.0), ("grpcio", 5, 1.05)])
def test_pings_over_an_idle_connection_are_answered(
    service: Running, on_grpcio: Running, server: str, pings: int, pause: float
) -> None:
    """Thirty are five minutes of Envoy's; grpcio judges by the pause between two, and three strikes are too many."""
    port = (service if server == "h2corn" else on_grpcio).grpc
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS))
        for number in range(pings):
            time.sleep(pause)
            connection.sendall(frame(PING, number.to_bytes(8)))
        received = b""
        while frame_kinds(received).count(PING) < pings and GOAWAY not in frame_kinds(received):
            piece = connection.recv(65536)
            assert piece, "it hung up"
            received += piece
    assert GOAWAY not in frame_kinds(received)


def exchange(port: int, head: str) -> bytes:
    """Everything that comes back until the server closes."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), SECONDS) as connection:
        connection.sendall(head.encode())
        while piece := connection.recv(65536):
            answer += piece
    return answer


def question(uri: str, *lines: str, version: str = "1.1") -> str:
    head = [f"GET /nginx HTTP/{version}", *(f"{name}: {value}" for name, value in metadata(uri)), *lines]
    return "\r\n".join([*head, "\r\n"])


@pytest.mark.shows("N14")
@pytest.mark.parametrize("host", [(), ("Host: api.example.com",)], ids=["without Host", "with Host"])
@pytest.mark.parametrize("uri", ["/healthz", "/orders/1"])
def test_a_question_in_http_1_0_is_refused_whole(service: Running, host: tuple[str, ...], uri: str) -> None:
    """An NGINX that was not told to speak 1.1 lets nothing pass, and does not wait either."""
    answer = exchange(service.gateway, question(uri, "Authorization: Bearer reader", *host, version="1.0"))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-length: 0" in head.lower()
    assert body == b""


@pytest.mark.shows("N42")
def test_a_long_token_among_many_headers_is_read(service: Running, stub: StubServer) -> None:
    """As much as NGINX passes on: four lines of 8 KiB."""
    stub.replies["r" * 8100] = ANSWERS["reader"]
    padding = [f"X-Header-{number}: {'v' * 600}" for number in range(40)]
    asked = question("/orders/1", "Host: a", "Connection: close", f"Authorization: Bearer {'r' * 8100}", *padding)
    assert len(asked) > 32 * 1024
    assert exchange(service.gateway, asked).startswith(b"HTTP/1.1 200 ")


@pytest.mark.shows("N64")
@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/healthz", "/"])
def test_health_and_metrics_are_not_on_the_port_of_the_gateways(service: Running, path: str) -> None:
    assert get(service.gateway, path).status == 404


ANSWER_HEADERS = {
    "/nginx": {"content-length", "cache-control", "x-authz-reason", "x-auth-sub", "x-auth-scope"},
    "/forward-auth": {"content-length", "cache-control", "x-auth-sub", "x-auth-scope"},
    "/gateway-api": {"content-length", "cache-control", "x-authz-reason", "x-auth-sub", "x-auth-scope"},
}


@pytest.mark.shows("N50")
@pytest.mark.parametrize("path", ANSWER_HEADERS)
def test_an_allow_has_no_header_of_the_servers_own(service: Running, path: str) -> None:
    """No Server, no Date: some gateways hand on all that they get."""
    said = {
        "/nginx": metadata("/orders/1"),
        "/forward-auth": [("X-Forwarded-Method", "GET"), ("X-Forwarded-Uri", "/orders/1"), ("X-Forwarded-Host", "a")],
        "/gateway-api": [("Method", "GET"), ("Path", "/orders/1")],
    }[path]
    answer = get(service.gateway, path, [*said, ("Authorization", "Bearer reader")])
    assert answer.status == 200
    assert sorted(name.lower() for name, _ in answer.headers) == sorted(ANSWER_HEADERS[path])


@pytest.mark.shows("E77", "E76")
def test_two_decisions_about_one_request_have_ids_of_their_own(service: Running) -> None:
    """A gateway that asks twice, or a client that repeats an id, makes two lines that can be told apart."""
    name = "repeated-request"
    for _ in range(2):
        get(service.gateway, "/nginx", [*metadata("/orders/1"), ("X-Request-Id", name)])
    audit = service.folder / "audit.jsonl"

    def lines() -> list[dict[str, Any]]:
        return [line for line in records(audit) if line["request_id"] == name]

    wait_until(lambda: len(lines()) == 2)
    assert len({line["decision_id"] for line in lines()}) == 2


@pytest.mark.shows("E68")
def test_an_outage_of_the_authorization_server_changes_no_health(tmp_path: Path) -> None:
    """Else all replicas would leave at the same time. The operator learns it from metrics and log."""
    (nobody,) = free_ports(1)
    with running(tmp_path, introspection=f"http://127.0.0.1:{nobody}/introspect") as service:
        answer = get(service.gateway, "/nginx", [*metadata("/orders/1"), ("Authorization", "Bearer reader")])
        assert ("x-authz-reason", "server_unreachable") in answer.headers
        assert get(service.ops, "/readyz").status == 200
        with closing(grpc.insecure_channel(f"127.0.0.1:{service.grpc}")) as channel:
            assert call(channel, HEALTH_PATH, b"") == SERVING
        assert 'reason="server_unreachable"' in get(service.ops, "/metrics").text
    assert "authorization server gives no usable answer" in (tmp_path / "extauthz.log").read_text()
