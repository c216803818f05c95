"""Canaries: tokens and a client secret go through a real process, and come out nowhere."""

import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

import cases
from extauthz._gen.extauthz_envoy_pb2 import AttributeContext, CheckRequest, HttpRequest, Request
from extauthz.cli.processes import free_ports
from extauthz.wire.envoy.service import CHECK_PATH
from support.serving import Service, call, get, loopback, metadata, wait_until, write_files
from support.stub_server import Reply, StubServer, active

CANARY = "c4n4ry"
SECRET = f"s3cr3t-{CANARY}"
ECHO = f'"{CANARY}-echoed"'
LOCATION = {"location": f"http://127.0.0.1:9/?token={CANARY}"}

REPLIES = {
    f"{CANARY}-good": active,
    f"{CANARY}-small": lambda: active(scope="other"),
    f"{CANARY}-expired": lambda: active(exp=1),
    f"{CANARY}-garbage": lambda: Reply(body=f'{{"active": {ECHO}'.encode()),
    f"{CANARY}-not-boolean": lambda: Reply(body=f'{{"active": {ECHO}}}'.encode()),
    f"{CANARY}-bad-member": lambda: Reply(body=f'{{"active": true, "sub": [{ECHO}]}}'.encode()),
    f"{CANARY}-twice": lambda: Reply(body=f"{{{ECHO}: 1, {ECHO}: 2}}".encode()),
    f"{CANARY}-page": lambda: Reply(body=f"<html>{CANARY}</html>".encode(), content_type="text/html"),
    f"{CANARY}-error": lambda: Reply(status=500, body=f'{{"error": {ECHO}}}'.encode()),
    f"{CANARY}-refused": lambda: Reply(status=401, body=f'{{"error_description": {ECHO}}}'.encode()),
    f"{CANARY}-bad-request": lambda: Reply(status=400, body=f'{{"error": {ECHO}}}'.encode()),
    f"{CANARY}-busy": lambda: Reply(status=429, headers={"retry-after": CANARY}),
    f"{CANARY}-moved": lambda: Reply(status=307, headers=LOCATION, body=f"{{{ECHO}: 1}}".encode()),
    f"{CANARY}-nowhere": lambda: Reply(status=404, body=f"{{{ECHO}: 1}}".encode()),
    f"{CANARY}-dropped": lambda: Reply(dropped=True),
}
TOKENS = [*REPLIES, f"{CANARY}-unknown"]
CREDENTIALS = [
    *([f"Bearer {token}"] for token in TOKENS),
    [f"Bearer {CANARY}!malformed"],
    [f"Bearer  {CANARY},Bearer {CANARY}"],
    [f"Bearer {CANARY}", f"Bearer {CANARY}"],
    [f"Basic {CANARY}"],
    [f"{CANARY}"],
    [f"Bearer {CANARY}" + "x" * 9000],
]
TARGETS = ["/orders", f"/orders?access_token={CANARY}", f"/healthz?token={CANARY}", f"/nowhere?{CANARY}"]


class Traffic:
    """Requests through both doors, and all that came back."""

    def __init__(self, gateway: int) -> None:
        self.gateway = gateway
        self.answers: list[str] = []

    def http(self, target: str, authorization: list[str]) -> None:
        headers = [*metadata(target), *(("Authorization", value) for value in authorization)]
        self.answers.append(repr(get(self.gateway, f"/nginx?{CANARY}", headers)))

    def grpc(self, channel: grpc.Channel, target: str, authorization: list[str]) -> None:
        http = HttpRequest(method="GET", path=target, host="api.example.com")
        for value in authorization:
            http.header_map.headers.add(key="authorization", raw_value=value.encode())
        message = CheckRequest(attributes=AttributeContext(request=Request(http=http))).SerializeToString()
        self.answers.append(repr(call(channel, CHECK_PATH, message)))

    def raw(self, head: bytes) -> None:
        """What the HTTP library refuses by itself."""
        with (
            socket.create_connection(("127.0.0.1", self.gateway), timeout=30) as connection,
            suppress(OSError),  # it may hang up on such bytes before it has all of them
        ):
            connection.sendall(head)
            connection.shutdown(socket.SHUT_WR)
            self.answers.append(repr(connection.recv(65_536)))

    def all(self) -> None:
        for target in TARGETS:
            for authorization in CREDENTIALS:
                self.http(target, authorization)
        with grpc.insecure_channel(f"127.0.0.1:{self.gateway}") as channel:
            for target in TARGETS:
                for authorization in CREDENTIALS:
                    self.grpc(channel, target, authorization)
            self.answers.append(repr(call(channel, CHECK_PATH, CANARY.encode())))
            with pytest.raises(grpc.RpcError) as failed:
                call(channel, f"/{CANARY}/Check", b"")
            assert failed.value.code() is not grpc.StatusCode.OK
        line = f"GET /nginx?{CANARY} HTTP/1.1\r\nHost: a\r\n".encode()
        self.raw(line + f"Authorization: Bearer {CANARY}\x01\r\n\r\n".encode())
        self.raw(line + f"Authorization: Bearer {CANARY}".encode() + b"x" * 100_000 + b"\r\n\r\n")
        self.raw(f"{CANARY}\r\n\r\n".encode())


@pytest.fixture
def server() -> Iterator[StubServer]:
    with StubServer(REPLIES) as server:
        yield server


@pytest.mark.shows("S8", "S34", "E31", "N43")
@pytest.mark.parametrize(
    ("audit", "auth"),
    [("file", "client_secret_post"), ("stderr", "client_secret_basic")],
)
def test_no_canary_comes_out_anywhere(tmp_path: Path, server: StubServer, audit: str, auth: str) -> None:
    """Allows, denials, outages, and authorization servers that repeat what they were told."""
    gateway, ops = free_ports(2)
    file = tmp_path / "audit.jsonl"
    changes: dict[str, Any] = {"audit": {"path": str(file) if audit == "file" else audit}, "log": {"level": "debug"}}
    config = write_files(tmp_path, loopback(gateway, ops), server.url, policy=cases.POLICY, **changes)
    config.write_text(config.read_text().replace("client:\n", f"client:\n      auth: {auth}\n"))
    traffic = Traffic(gateway)
    with Service(config, secret=SECRET).ready(ops) as service:
        traffic.all()
        asked = set(server.calls)
        metrics = get(ops, "/metrics").text
        command = Path(f"/proc/{service.pid}/cmdline").read_bytes().decode()
    outputs = {
        "answers": "\n".join(traffic.answers),
        "stdout": service.stdout,
        "stderr": service.stderr,
        "audit file": file.read_text() if file.exists() else "",
        "metrics": metrics,
        "command line": command,
    }
    assert asked >= set(TOKENS), "the canaries went all the way"
    canaries = (CANARY, SECRET, b64encode(f"gateway:{SECRET}".encode()).decode())
    assert not [(name, canary) for name, text in outputs.items() for canary in canaries if canary in text]


@pytest.mark.shows("S34", "E68", "N43")
def test_no_canary_comes_out_in_an_outage(tmp_path: Path) -> None:
    """Nobody listens where the authorization server should be."""
    gateway, ops, nobody = free_ports(3)
    config = write_files(
        tmp_path, loopback(gateway, ops), f"http://127.0.0.1:{nobody}/introspect", audit={"path": "stdout"}
    )
    traffic = Traffic(gateway)
    with Service(config, secret=SECRET).ready(ops) as service:
        traffic.http("/orders", [f"Bearer {CANARY}"])
        wait_until(lambda: "server_unreachable" in service.stdout)
        wait_until(lambda: "server_unreachable" in service.stderr)  # the operator is told
    assert CANARY not in "\n".join([*traffic.answers, service.stdout, service.stderr])
