"""The operator's listener: `/livez`, `/readyz`, `/metrics`. Never on the gateway's port."""

from collections.abc import Callable

from extauthz.wire.asgi import Receive, Scope, Send, respond
from extauthz.wire.readiness import Readiness

Exposition = Callable[[], tuple[bytes, str]]


class OpsDoor:
    """Tells whether this process lives, whether it wants work, and what it has counted."""

    def __init__(self, readiness: Readiness, exposition: Exposition) -> None:
        self._readiness = readiness
        self._exposition = exposition

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Serve one request."""
        status, body, content_type = self._answer(scope["path"])
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await respond(send, status, headers, body)

    def _answer(self, path: str) -> tuple[int, bytes, str]:
        match path:
            case "/livez":
                return 200, b"ok\n", "text/plain"
            case "/readyz" if self._readiness.serving:
                return 200, b"ok\n", "text/plain"
            case "/readyz":
                return 503, f"{self._readiness.why_not}\n".encode(), "text/plain"
            case "/metrics":
                body, content_type = self._exposition()
                return 200, body, content_type
            case _:
                return 404, b"try /livez, /readyz or /metrics\n", "text/plain"
