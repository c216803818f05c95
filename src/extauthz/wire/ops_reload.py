"""`POST /reload` and `GET /config` on the operator's listener: read the files again, and what is in force."""

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from extauthz.wire.asgi import App, Receive, Scope, Send, respond
from extauthz.wire.ops_access import Guard, RefusedError

Answer = Mapping[str, Any]

_STATUS: Final = {"reloaded": 200, "unchanged": 200, "refused": 422}
"""By what every worker did. When they did not do the same, or did not answer: 503, ask again."""


class ReloadDoor:
    """Answers these two, and passes everything else on.

    Args:
        others: what it passes on to.
        guard: who may reload; all may look.
        ask: reads the files again; `result` of its answer is what every worker did.
        describe: what is in force in this worker.
    """

    def __init__(
        self, others: App, guard: Guard, *, ask: Callable[[], Awaitable[Answer]], describe: Callable[[], Answer]
    ) -> None:
        self._others = others
        self._guard = guard
        self._ask = ask
        self._describe = describe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        match scope.get("path"):
            case "/reload":
                await self._reload(scope, send)
            case "/config":
                await _respond(send, 200, _json(self._describe()))
            case _:
                await self._others(scope, receive, send)

    async def _reload(self, scope: Scope, send: Send) -> None:
        try:
            self._guard.admit(scope, "reload")
        except RefusedError as refused:
            status, text, more = refused.answer
            await _respond(send, status, f"{text}\n".encode(), b"text/plain", *more)
            return
        answer = await self._ask()
        await _respond(send, _STATUS.get(answer["result"], 503), _json(answer))


def _json(value: Answer) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"


async def _respond(
    send: Send, status: int, body: bytes, kind: bytes = b"application/json", *more: tuple[bytes, bytes]
) -> None:
    headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *more,
    ]
    await respond(send, status, headers, body)
