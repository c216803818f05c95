"""The few ASGI types and helpers that the HTTP doors share."""

import types
from collections.abc import Awaitable, Callable, Generator, Iterable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]


@types.coroutine
def others_first() -> Generator[None, None, None]:
    """Let all that can go on do so before this coroutine does.

    Awaited between reading, deciding and sending: under load, all requests that have arrived together are read, then all
    are decided, then all answers leave together. To do each in turns for every request costs more of the processor, whose
    caches do not hold the code of all, and would wake the server's thread for every single answer. A request that is
    alone waits for nothing.
    """
    yield


async def respond(send: Send, status: int, headers: Headers, body: bytes = b"") -> None:
    """Send one whole answer."""
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
