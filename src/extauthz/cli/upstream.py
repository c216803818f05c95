"""The application behind the gateways, for the demo and the tests: it answers with the request that it got."""

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as it arrived: nothing decoded, nothing merged.

    Attributes:
        target: the request target with its query.
        headers: name and value of each header line, in order.
        body_bytes: length of the body.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body_bytes: int

    def values(self, name: str) -> list[str]:
        """The values of all header lines of this name, whatever its case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]


class Upstream:
    """An HTTP/1.1 server in a thread of ours. A context manager.

    Attributes:
        received: all requests so far, oldest first.
    """

    def __init__(self, port: int) -> None:
        self.received: list[Received] = []
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.received = self.received
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="upstream", daemon=True)

    def __enter__(self) -> Self:
        """Start to serve."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop to serve and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    block_on_close = False  # a gateway keeps its connections open
    received: list[Received]


class _Handler(BaseHTTPRequestHandler):
    """Answers any method; `self.path` is the raw target."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the base class looks up do_GET, do_POST, do_FOO ...
        if name.startswith("do_"):
            return self._answer
        raise AttributeError(name)

    def _answer(self) -> None:
        received = Received(
            method=self.command,
            target=self.path,
            headers=tuple(self.headers.items()),
            body_bytes=self._read_body(),
        )
        self.server.received.append(received)
        self._send(json.dumps(_shown(received), indent=2).encode())

    def _read_body(self) -> int:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return sum(iter(self._read_chunk, 0))
        return len(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _read_chunk(self) -> int:
        """Length of the next chunk, 0 at the end."""
        size = int(self.rfile.readline().split(b";")[0], 16)
        self.rfile.read(size)
        self.rfile.readline()
        return size

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the gateways keep the access log."""


def _shown(received: Received) -> dict[str, object]:
    """What the answer shows: all but the token, since an answer is easily pasted into a report."""
    headers = [[name, "***" if name.lower() == "authorization" else value] for name, value in received.headers]
    return {"method": received.method, "target": received.target, "headers": headers}
