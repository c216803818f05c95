"""Unary gRPC over ASGI, for h2corn: the five-byte message prefix and the trailers. HTTP/2 is the server's business."""

from collections.abc import Awaitable, Callable
from functools import lru_cache

from extauthz.core.trace import TRACEPARENT
from extauthz.wire.asgi import Headers, Message, Receive, Scope, Send, others_first

Method = Callable[[bytes, float | None, str], Awaitable[bytes | None]]
"""A message, the caller's deadline in seconds and its `traceparent`, to a message."""

_PREFIX_LENGTH = 5
_UNCOMPRESSED = 0
_NOT_FOUND = b"5"
_UNIMPLEMENTED = b"12"
_INTERNAL = b"13"

_TRACEPARENT = TRACEPARENT.encode()
_TIMEOUT_DIGITS = 8
"""Of `grpc-timeout`, by the gRPC specification."""

_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}

_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/grpc")],
    "trailers": True,
}
_OK = {"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")], "more_trailers": False}


class GrpcMethod:
    """One unary method as an ASGI application. `None` from the method is NOT_FOUND."""

    def __init__(self, method: Method) -> None:
        self._method = method

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        if scope["method"] != "POST":
            await _fail(send, _UNIMPLEMENTED)
            return
        message = await receive()
        framed = message.get("body", b"")
        if not _is_whole(framed):
            framed = await _rest(message, receive)
            if framed is None:
                return
            if not _is_whole(framed):
                await _fail(send, _INTERNAL)
                return
        if framed[0] != _UNCOMPRESSED:
            await _fail(send, _UNIMPLEMENTED)
            return
        deadline, trace = _metadata(scope["headers"])
        answer = await self._method(framed[_PREFIX_LENGTH:], deadline, trace)
        if answer is None:
            await _fail(send, _NOT_FOUND)
            return
        await others_first()
        await send(_START)
        await send({"type": "http.response.body", "body": b"\0" + len(answer).to_bytes(4) + answer})
        await send(_OK)


def _metadata(headers: Headers) -> tuple[float | None, str]:
    """The deadline in seconds, None without one or with one that means nothing; and `traceparent`."""
    said = dict(headers)
    timeout, trace = said.get(b"grpc-timeout"), said.get(_TRACEPARENT)
    return None if timeout is None else _seconds(timeout), "" if trace is None else trace.decode("latin-1")


@lru_cache(maxsize=256)
def _seconds(timeout: bytes) -> float | None:
    amount, unit = timeout[:-1], timeout[-1:]
    readable = amount.isdigit() and len(amount) <= _TIMEOUT_DIGITS and unit in _UNITS
    return int(amount) * _UNITS[unit] if readable else None


def _is_whole(framed: bytes) -> bool:
    """Whether this is one message, with the prefix that promises its length, and nothing else."""
    return int.from_bytes(framed[1:_PREFIX_LENGTH]) == len(framed) - _PREFIX_LENGTH


async def _rest(message: Message, receive: Receive) -> bytes | None:
    """The body that begins with this: up to the end of its message or of itself, or None when the caller went away.

    A caller that still has to say that nothing follows is not waited for.
    """
    body: bytes = b""
    while message["type"] == "http.request":
        body += message.get("body", b"")
        if _is_whole(body) or not message.get("more_body", False):
            return body
        message = await receive()
    return None


async def _fail(send: Send, status: bytes) -> None:
    headers = [(b"content-type", b"application/grpc"), (b"grpc-status", status)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
