"""Servers that carry a question and decide nothing: what every decision is compared with.

    python -m bench.floors h2corn|grpcio|asgi PORT

Each sits on the very listener of `extauthz serve`, reads the question as extauthz does and sends the bytes that
extauthz would send for an allow with two identity headers. What extauthz costs beyond that is its own, the metadata for
Envoy's access log included.
"""

import sys
from collections.abc import Awaitable, Callable

import uvloop
from h2corn import Server

from bench.workload import SCOPE
from extauthz._gen.extauthz_envoy_pb2 import CheckRequest
from extauthz.cli import worker
from extauthz.cli.listeners import listen
from extauthz.config.recording import Log
from extauthz.config.service_schema import ServiceFile
from extauthz.config.values import Address
from extauthz.core.decision import Allow, Reason
from extauthz.wire.asgi import App, Receive, Scope, Send
from extauthz.wire.envoy import encode as envoy_encode
from extauthz.wire.envoy.grpc_asgi import GrpcMethod
from extauthz.wire.envoy.grpcio_server import create_server
from extauthz.wire.envoy.service import CHECK_PATH, HealthService
from extauthz.wire.http import nginx
from extauthz.wire.readiness import Readiness

ALLOW = Allow(
    reason=Reason.ALLOWED,
    rule="",
    identity=(("x-auth-sub", "user-5f0f9a1b2c3d4e5f60718293a4b5c6d7"), ("x-auth-scope", SCOPE)),
    absent=(),
)
ANSWER = envoy_encode.encode(ALLOW)

_PREFIX_LENGTH = 5
_GRPC_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/grpc")],
    "trailers": True,
}
_GRPC_BODY = {"type": "http.response.body", "body": b"\0" + len(ANSWER).to_bytes(4) + ANSWER}
_GRPC_END = {"type": "http.response.trailers", "headers": [(b"grpc-status", b"0")], "more_trailers": False}

_HTTP_STATUS, _HTTP_HEADERS, _ = nginx.encode(ALLOW)
_HTTP_START = {"type": "http.response.start", "status": _HTTP_STATUS, "headers": _HTTP_HEADERS}
_HTTP_BODY = {"type": "http.response.body", "body": b""}


def _health() -> HealthService:
    """Envoy asks nobody who does not say that it is well."""
    readiness = Readiness()
    readiness.start()
    return HealthService(readiness)


class GrpcFloor:
    """gRPC as a bare ASGI application."""

    def __init__(self) -> None:
        self._health = GrpcMethod(_health())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one call."""
        if scope["path"] != CHECK_PATH:
            await self._health(scope, receive, send)
            return
        message = await receive()
        CheckRequest.FromString(message["body"][_PREFIX_LENGTH:])
        await send(_GRPC_START)
        await send(_GRPC_BODY)
        await send(_GRPC_END)


async def http_floor(_scope: Scope, _receive: Receive, send: Send) -> None:
    """An allow for NGINX."""
    await send(_HTTP_START)
    await send(_HTTP_BODY)


async def _check(message: bytes, _deadline: float | None, _trace: str) -> bytes:
    CheckRequest.FromString(message)
    return ANSWER


async def _serve_h2corn(app: App, port: int) -> None:
    with listen(Address(host="127.0.0.1", port=port)) as listener:
        await _listener(app, listener.fileno()).serve()


def _listener(app: App, descriptor: int) -> Server:
    """The gateway listener of `extauthz serve` itself: a copy of its settings would drift from it unseen."""
    settings = ServiceFile.model_construct(log=Log())  # all that a listener looks at
    return worker._server(app, descriptor, settings, grpc=True)  # noqa: SLF001 - see above


async def _serve_grpcio(port: int) -> None:
    server = create_server(_check, _health(), address=f"127.0.0.1:{port}", share_port=False)
    await server.start()
    await server.wait_for_termination()


FLOORS: dict[str, Callable[[int], Awaitable[None]]] = {
    "h2corn": lambda port: _serve_h2corn(GrpcFloor(), port),
    "grpcio": _serve_grpcio,
    "asgi": lambda port: _serve_h2corn(http_floor, port),
}


async def _main(name: str, port: int) -> None:
    await FLOORS[name](port)


if __name__ == "__main__":
    uvloop.run(_main(sys.argv[1], int(sys.argv[2])))
