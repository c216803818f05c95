"""The same services on grpcio's asyncio server: the reference, selected by `grpc_server: grpcio`."""

import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

import grpc
from grpc import aio

from extauthz.core.trace import TRACEPARENT
from extauthz.wire.envoy.service import AUTHORIZATION, HEALTH, MAX_MESSAGE_BYTES

_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # Envoy pings more often than grpcio likes by default and would be told to go away.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
)

Method = Callable[[bytes, float | None, str], Awaitable[bytes | None]]


def create_server(check: Method, health: Method, *, address: str, share_port: bool) -> aio.Server:
    """A server bound to the address, not yet started.

    Raises:
        OSError: when the address is taken; `share_port` lets the workers of one service have it together.
    """
    if address.startswith("unix:") and not share_port and _answers(address.removeprefix("unix:")):
        raise OSError(f"cannot listen on {address}: is it in use?")  # grpcio would take the file away from its owner
    server = aio.server(options=[*_OPTIONS, ("grpc.so_reuseport", int(share_port))])
    server.add_generic_rpc_handlers((_handlers(AUTHORIZATION, check), _handlers(HEALTH, health)))
    try:
        bound = server.add_insecure_port(address)
    except RuntimeError:
        bound = 0
    if not bound:
        raise OSError(f"cannot listen on {address}: is it in use?")
    return server


def _answers(path: str) -> bool:
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(path) == 0
    return False


def _trace(context: "aio.ServicerContext[bytes, bytes]") -> str:
    said = [value for key, value in context.invocation_metadata() or () if key == TRACEPARENT]
    return said[0] if said and isinstance(said[0], str) else ""


def _handlers(service: str, method: Method) -> grpc.GenericRpcHandler:
    async def call(message: bytes, context: aio.ServicerContext[bytes, bytes]) -> bytes:
        answer = await method(message, context.time_remaining(), _trace(context))
        if answer is None:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            return b""
        return answer

    return grpc.method_handlers_generic_handler(service, {"Check": grpc.unary_unary_rpc_method_handler(call)})
