"""Unary gRPC over ASGI, for h2corn: the five-byte message prefix and the trailers. HTTP/2 is the server's business."""

from collections.abc import Awaitable, Callable

from extauthz.core.trace import TRACEPARENT
from extauthz.wire.asgi import Headers, Receive, Scope, Send

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
        framed = await _read(receive)
        if framed is None:
            return
        if len(framed) < _PREFIX_LENGTH or len(framed) != _PREFIX_LENGTH + int.from_bytes(framed[1:_PREFIX_LENGTH]):
            await _fail(send, _INTERNAL)
            return
        if framed[0] != _UNCOMPRESSED:
            await _fail(send, _UNIMPLEMENTED)
            return
        answer = await self._method(framed[_PREFIX_LENGTH:], *_metadata(scope["headers"]))
        if answer is None:
            await _fail(send, _NOT_FOUND)
            return
        await send(_START)
        await send({"type": "http.response.body", "body": b"\0" + len(answer).to_bytes(4) + answer})
        await send(_OK)


def _metadata(headers: Headers) -> tuple[float | None, str]:
    """The deadline in seconds, None without one or with one that means nothing; and `traceparent`."""
    deadline: float | None = None
    trace = ""
    for name, value in headers:
        if name == b"grpc-timeout":
            deadline = _seconds(value)
        elif name == _TRACEPARENT:
            trace = value.decode("latin-1")
    return deadline, trace


def _seconds(timeout: bytes) -> float | None:
    amount, unit = timeout[:-1], timeout[-1:]
    readable = amount.isdigit() and len(amount) <= _TIMEOUT_DIGITS and unit in _UNITS
    return int(amount) * _UNITS[unit] if readable else None


async def _read(receive: Receive) -> bytes | None:
    """The whole request body, or None when the caller went away."""
    message = await receive()
    if message["type"] != "http.request":
        return None
    body: bytes = message.get("body", b"")
    while message.get("more_body", False):
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
    return body


async def _fail(send: Send, status: bytes) -> None:
    headers = [(b"content-type", b"application/grpc"), (b"grpc-status", status)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
