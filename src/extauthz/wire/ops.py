"""The operator's listener: `/livez`, `/readyz`, `/metrics`, `/revoke`, `/log`. Never on the gateway's port.

`/reload` and `/config` stand before it, where there is something to reload (`ops_reload`).
"""

from collections.abc import Callable

from extauthz.wire.asgi import Receive, Scope, Send, respond
from extauthz.wire.ops_log import LogDoor
from extauthz.wire.ops_revoke import RevokeDoor
from extauthz.wire.readiness import Readiness

Exposition = Callable[[], tuple[bytes, str]]


class OpsDoor:
    """Tells whether this process lives, whether it wants work, and what it has counted; lets the operator revoke and set the log level, if he may."""

    def __init__(
        self,
        readiness: Readiness,
        exposition: Exposition,
        revoke: RevokeDoor | None = None,
        log: LogDoor | None = None,
    ) -> None:
        self._readiness = readiness
        self._exposition = exposition
        self._changing = {"/revoke": revoke, "/log": log}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        more: tuple[tuple[bytes, bytes], ...] = ()
        door = self._changing.get(scope["path"])
        if door is not None:
            status, text, more = await door.answer(scope, receive)
            body, content_type = f"{text}\n".encode(), "text/plain"
        else:
            status, body, content_type = self._answer(scope["path"])
        headers = [
            (b"content-type", content_type.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            *more,
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
                return 404, b"try /livez, /readyz, /metrics, /config, /reload, /revoke or /log\n", "text/plain"
