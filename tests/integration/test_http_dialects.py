"""The HTTP dialects on the real server: the bytes that a gateway sends are the bytes that are judged."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from h2corn import Config, Server

from extauthz.app import GatewayApp
from extauthz.cli.processes import free_ports
from extauthz.core.decision import Decision
from extauthz.core.request import AuthRequest
from extauthz.testing import Bench, policy, rule
from extauthz.wire.http.asgi import DIALECTS, HttpDoor

MAX_BODY_BYTES = 256 * 1024
KEPT = "Host: api.example.com\r\nAuthorization: Bearer good\r\n"
GOOD = KEPT + "Connection: close\r\n"


class Recording:
    """An authorizer that keeps the questions."""

    def __init__(self, bench: Bench) -> None:
        self._authorizer = bench.authorizer
        self.policy = bench.authorizer.policy
        self.asked: list[AuthRequest] = []

    async def check(self, request: AuthRequest) -> Decision:
        self.asked.append(request)
        return await self._authorizer.check(request)


async def _read(reader: asyncio.StreamReader) -> bytes:
    """What comes next; nothing at the end, or when it is silent.

    The server runs in this loop too, so silence is that the loop went round many times, and not that a time passed: while
    the machine stands still, nobody can say anything.
    """
    for _ in range(20):
        with suppress(TimeoutError):
            return await asyncio.wait_for(reader.read(65536), 0.05)
    return b""


@dataclass
class Served:
    """A listening door, and what it was asked."""

    port: int
    recording: Recording
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def send(self, *requests: str | bytes) -> bytes:
        """Send all at once on one connection; everything that comes back until the server closes or says no more."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for request in requests:
            writer.write(request if isinstance(request, bytes) else request.encode("latin-1"))
        received = b""
        try:
            while chunk := await _read(reader):
                received += chunk
        finally:
            writer.close()
        return received

    async def statuses(self, *requests: str | bytes) -> list[int]:
        answer = await self.send(*requests)
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]

    @property
    def targets(self) -> list[str]:
        return [request.target for request in self.recording.asked]


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    bench = Bench(policy=policy(rule(path="/**")))
    recording = Recording(bench)
    (port,) = free_ports(1)
    app = GatewayApp({}, HttpDoor(recording, dialects=DIALECTS))  # type: ignore[arg-type] # what the door uses of one
    config = Config(
        bind=(f"127.0.0.1:{port}",),
        grpc=True,
        lifespan="off",
        access_log=False,
        date_header=False,
        limit_request_head_size=64 * 1024,
        max_request_body_size=MAX_BODY_BYTES,
    )
    server = Server(app, config)
    serving = asyncio.create_task(server.serve())
    await server.wait_started()
    yield Served(port, recording)
    server.shutdown()
    await serving


RAW = [
    "/",
    "//",
    "/a%2Fb",
    "/a%2fb",
    "/a/../b",
    "/a/%2e%2e/b",
    "/a//b",
    "//evil.example.com/a",
    "/a\\..\\b",
    "/a;b=c",
    "/%00",
    "/%25",
    "/%65nvoy/a",
    "/envoy/envoy",
    '/"<>^`{|}',
    "/caf%C3%A9",
    "/.",
    "/..",
    "/a?b=%2F..%2F&c=a?d",
    "/?//",
    "/a%3Fb",
]


@pytest.mark.shows("E79")
@pytest.mark.parametrize("target", RAW)
async def test_the_path_arrives_as_it_was_sent(served: Served, target: str) -> None:
    """Nothing is decoded, resolved or merged on the way to the judge."""
    await served.send(f"GET /envoy{target} HTTP/1.1\r\n{GOOD}\r\n")
    assert served.targets == [target]


@pytest.mark.parametrize("target", ["/a#b", "/a%zz", "/a%", "/a b", "/a\tb", "/a\x01b", "/a\x7f", "/\xe9"])
async def test_what_is_no_request_target_is_refused_by_the_server(served: Served, target: str) -> None:
    """400, which denies; the engine never hears of it."""
    assert await served.statuses(f"GET /envoy{target} HTTP/1.1\r\n{GOOD}\r\n") == [400]
    assert served.targets == []


@pytest.mark.shows("N25")
@pytest.mark.parametrize(
    "path", ["/%65nvoy/a", "/envoy%2Fa", "//envoy/a", "/./envoy/a", "/x/../envoy/a", "/envoy..", "/%6eginx"]
)
async def test_a_dialect_is_found_by_the_bytes_of_its_path(served: Served, path: str) -> None:
    """The server also has a decoded path to offer; whoever routed by it would hand on another one than was sent."""
    assert await served.statuses(f"GET {path} HTTP/1.1\r\n{GOOD}\r\n") == [404]
    assert served.targets == []


@pytest.mark.shows("E79", "N26")
@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "TRACE", "FOO", "PRI", "get"]
)
async def test_any_method_arrives(served: Served, method: str) -> None:
    """What is no method for the policy is refused by the judge, not by a router."""
    expected = 400 if method == "get" else 200
    assert await served.statuses(f"{method} /envoy/a HTTP/1.1\r\n{GOOD}\r\n") == [expected]
    assert [request.method for request in served.recording.asked] == [method]


@pytest.mark.parametrize("hosts", ["", "Host: a\r\nHost: b\r\n", "Host: a,b\r\n", "Host: a@b\r\n", "Host:\r\n"])
async def test_without_exactly_one_host_the_server_refuses(served: Served, hosts: str) -> None:
    """There is never a question about a host that two readers could read differently."""
    assert await served.statuses(f"GET /envoy/a HTTP/1.1\r\n{hosts}\r\n") == [400]
    assert served.targets == []


@pytest.mark.shows("N12")
async def test_an_answer_to_head_ends_where_the_next_begins(served: Served) -> None:
    """The head says how long the body would be, and there is none."""
    head = "HEAD /envoy/a HTTP/1.1\r\nHost: h\r\n\r\n"
    answer = await served.send(head, head, f"GET /envoy/b HTTP/1.1\r\n{GOOD}\r\n")
    assert re.findall(rb"HTTP/1\.1 (\d{3}) ", answer) == [b"401", b"401", b"200"]
    assert b'{"error"' not in answer


BODIES = {
    "announced and never sent": ["Content-Length: 5\r\n\r\n"],
    "chunked": ["Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"],
    "of 100 kB": ["Content-Length: 100000\r\n\r\n" + "x" * 100_000],
    "that waits to be asked for": ["Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"],
}


@pytest.mark.shows("E85", "N13", "N15")
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("path", ["/nginx", "/forward-auth", "/envoy/a", "/gateway-api"])
async def test_a_body_is_not_waited_for(served: Served, path: str, body: list[str]) -> None:
    """The answer depends on the head alone."""
    metadata = "".join(
        f"{name}: {value}\r\n"
        for prefix in ("X-Original-", "X-Forwarded-", "")
        for name, value in ((f"{prefix}Method", "GET"), (f"{prefix}{'Uri' if prefix else 'Path'}", "/a"))
    )
    statuses = await served.statuses(f"POST {path} HTTP/1.1\r\n{GOOD}{metadata}", *body)
    assert [status for status in statuses if status != 100] == [200]


@pytest.mark.shows("E85")
async def test_a_body_leaves_the_connection_as_it_should_be(served: Served) -> None:
    """What follows a body that nobody read is the next request."""
    first = f"POST /envoy/a HTTP/1.1\r\n{KEPT}Content-Length: 100000\r\n\r\n" + "x" * 100_000
    assert await served.statuses(first, f"GET /envoy/b HTTP/1.1\r\n{GOOD}\r\n") == [200, 200]
    assert served.targets == ["/a", "/b"]


async def test_a_body_beyond_the_limit_is_refused(served: Served) -> None:
    """No gateway sends one unless it is told to; then it gets 413, and the request is denied."""
    assert await served.statuses(f"POST /envoy/a HTTP/1.1\r\n{GOOD}Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\n") == [
        413
    ]
    assert served.targets == []


@pytest.mark.shows("N13")
@pytest.mark.parametrize("path", ["/envoy/a", "/nginx"])
@pytest.mark.parametrize(
    "header",
    [
        "If-None-Match: *",
        "If-Modified-Since: Mon, 23 Nov 2026 00:00:00 GMT",
        "Range: bytes=0-0",
        "Accept: image/png",
        "Accept-Encoding: gzip, br",
    ],
)
async def test_conditions_and_preferences_change_nothing(served: Served, header: str, path: str) -> None:
    """They are the client's, and about another resource."""
    question = f"GET {path} HTTP/1.1\r\nX-Original-Method: GET\r\nX-Original-URI: /a\r\n"
    plain = await served.send(f"{question}{GOOD}\r\n")
    assert plain.startswith(b"HTTP/1.1 200 ")
    assert await served.send(f"{question}{GOOD}{header}\r\n\r\n") == plain


@pytest.mark.shows("E84", "N50")
async def test_an_answer_has_no_header_that_nobody_asked_for(served: Served) -> None:
    """Some gateways hand on all of them: to the application after an allow, to the client after a denial."""
    allowed = await served.send(f"GET /envoy/a HTTP/1.1\r\n{KEPT}\r\n")
    denied = await served.send("GET /envoy/a HTTP/1.1\r\nHost: h\r\n\r\n")
    assert _names(allowed) == {
        b"content-length",
        b"cache-control",
        b"x-auth-sub",
        b"x-auth-scope",
        b"x-envoy-auth-headers-to-remove",
    }
    assert _names(denied) == {
        b"content-type",
        b"content-length",
        b"cache-control",
        b"www-authenticate",
        b"x-authz-reason",
    }


def _names(answer: bytes) -> set[bytes]:
    return {line.partition(b":")[0].lower() for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]}


@pytest.mark.shows("N3")
async def test_questions_over_the_same_connection_are_answered_over_it(served: Served) -> None:
    """Twenty questions of NGINX cost one connection, because no answer has a body."""
    question = f"GET /nginx HTTP/1.1\r\n{KEPT}X-Original-Method: GET\r\nX-Original-URI: /a\r\n\r\n"
    refused = "GET /nginx HTTP/1.1\r\nHost: h\r\nX-Original-Method: GET\r\nX-Original-URI: /a\r\n\r\n"
    assert await served.statuses(*[question, refused] * 10) == [200, 401] * 10
