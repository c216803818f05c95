"""An authorization server that answers each token as a table says, the hostile ways included."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from extauthz.cli.processes import free_ports

ISSUER = "https://as.example.com"
AUDIENCE = "https://api.example.com"
SECRET = "stub-secret"
"""Of the client `gateway`."""

SLOW_SECONDS = 2.0
DRIP_SECONDS = 0.1

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One HTTP answer.

    Attributes:
        slow: it is sent after the client's patience.
        drip: it is begun at once, and sent an octet at a time until after the client's patience.
        dropped: the connection is closed instead.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    slow: bool = False
    drip: bool = False
    dropped: bool = False


def active(**members: Any) -> Reply:  # noqa: ANN401 - any JSON value
    """A live token with these members; None leaves a member out."""
    standard = {
        "active": True,
        "scope": "orders:read",
        "sub": "u1",
        "client_id": "app",
        "aud": AUDIENCE,
        "iss": ISSUER,
        "token_type": "Bearer",
        "exp": int(time.time()) + 300,
    }
    merged = {name: value for name, value in (standard | members).items() if value is not None}
    return Reply(body=json.dumps(merged).encode())


def raw(body: bytes) -> Reply:
    """A JSON answer as bytes."""
    return Reply(body=body)


INACTIVE = raw(b'{"active":false}')


class StubServer:
    """Serves introspection in a thread of ours, on a free port unless told. A context manager.

    Attributes:
        replies: what to say about a token.
        unknown: what to say about any other one; inactive unless told.
        slow_seconds: how late a slow answer is.
        calls: questions by token.
        traces: the `traceparent` of the last question about each token.
        documents: what is told to a GET, by path; without its path, 404.
        authorization: the `Authorization` that questions must have; None takes any.
        url: where it answers so.
        stranger: where another server answers, which has issued none of the tokens.
        batches: how many tokens each question about many named (`tokens=<token> <token> …`).
    """

    def __init__(
        self,
        replies: dict[str, Callable[[], Reply]],
        unknown: Reply = INACTIVE,
        *,
        port: int | None = None,
        slow_seconds: float = SLOW_SECONDS,
    ) -> None:
        port = port or free_ports(1)[0]
        self.replies = replies
        self.unknown = unknown
        self.slow_seconds = slow_seconds
        self.calls: Counter[str] = Counter()
        self.traces: dict[str, str] = {}
        self.authorization: str | None = None
        self.documents: dict[str, Callable[[], Reply]] = {}
        self.batches: list[int] = []
        self.url = f"http://127.0.0.1:{port}/introspect"
        self.stranger = f"http://127.0.0.1:{port}/stranger"
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.stub = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def reply(self, token: str) -> Reply:
        """What to say about the token."""
        self.calls[token] += 1
        return self.replies.get(token, lambda: self.unknown)()

    def reply_to_all(self, tokens: list[str]) -> Reply:
        """What to say about many at once."""
        self.batches.append(len(tokens))
        return raw(b'{"responses":[' + b",".join(self.reply(token).body for token in tokens) + b"]}")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    stub: StubServer

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as the base class has it
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: in two, the second one waits for an acknowledgement
    server: _Server

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        stub = self.server.stub
        known = stub.authorization in (None, self.headers["authorization"])
        if not known:
            reply = Reply(status=401)
        elif self.path == "/stranger":
            reply = INACTIVE
        elif "tokens" in form:
            reply = stub.reply_to_all(form["tokens"][0].split(" "))
        else:
            stub.traces[form["token"][0]] = self.headers.get("traceparent", "")
            reply = stub.reply(form["token"][0])
        self._send(reply)

    def do_GET(self) -> None:
        document = self.server.stub.documents.get(self.path)
        self._send(Reply(status=404) if document is None else document())

    def _send(self, reply: Reply) -> None:
        if reply.slow:
            time.sleep(self.server.stub.slow_seconds)
        if reply.dropped:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("content-type", reply.content_type)
        self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        if reply.drip:
            self._drip(reply.body)
        else:
            self.wfile.write(reply.body)

    def _drip(self, body: bytes) -> None:
        for octet in body[: int(self.server.stub.slow_seconds / DRIP_SECONDS)]:
            self.wfile.write(bytes([octet]))
            time.sleep(DRIP_SECONDS)

    def log_message(self, *args: object) -> None:
        """Say nothing."""
