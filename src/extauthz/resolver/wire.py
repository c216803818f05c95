"""HTTP/1.1 below httpx: connections that are kept, limited, and used by one request at a time.

It does what our few and small requests need and nothing else, at a third of the cost of a general one.
"""

import asyncio
import socket
import ssl
from collections import defaultdict, deque
from typing import Final, NamedTuple

import httpx
from aiohappyeyeballs import start_connection

from extauthz.core.introspection import MAX_ANSWER_BYTES
from extauthz.resolver.http1 import Connection, message

KEEPALIVE_SECONDS: Final = 30.0
"""A connection that was idle for longer is not used again."""

_NEXT_ADDRESS_SECONDS: Final = 0.25
"""When the next address of a host is tried besides (RFC 8305 §8)."""


class _Idle(NamedTuple):
    connection: Connection
    since: float


class Wire(httpx.AsyncBaseTransport):
    """Carries requests. An answer comes whole; the extension `max_bytes` says how much of its body is read.

    Args:
        max_connections: used at once; whoever comes later waits.
        tls: how to talk TLS.
    """

    def __init__(self, max_connections: int, tls: ssl.SSLContext) -> None:
        self._slots = asyncio.Semaphore(max_connections)
        self._tls = tls
        self._idle: defaultdict[tuple[str, bytes], deque[_Idle]] = defaultdict(deque)
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer.

        Raises:
            httpx.TransportError: when there is none.
        """
        question, url = message(request), request.url
        max_bytes = request.extensions.get("max_bytes", MAX_ANSWER_BYTES)
        async with self._slots:
            idle = self._idle[url.scheme, url.netloc]
            connection = _take(idle) or await _connect(url, self._tls)
            try:
                return await connection.ask(question, max_bytes)
            finally:
                if connection.reusable and not self._closed:
                    idle.append(_Idle(connection, _now()))
                else:
                    connection.close()

    async def aclose(self) -> None:
        """Close what is idle; what is in use is closed with its answer."""
        self._closed = True
        for idle in self._idle.values():
            for connection, _ in idle:
                connection.close()
        self._idle.clear()
        await asyncio.sleep(0)  # in this turn of the loop they are gone


def _take(idle: deque[_Idle]) -> Connection | None:
    """The one that was used last. Those that were not used for long are closed."""
    while idle and idle[0].since <= _now() - KEEPALIVE_SECONDS:
        idle.popleft().connection.close()
    while idle:
        connection = idle.pop().connection
        if connection.reusable:
            return connection
    return None


async def _connect(url: httpx.URL, tls: ssl.SSLContext) -> Connection:
    loop, secure, host = asyncio.get_running_loop(), url.scheme == "https", url.raw_host.decode("ascii")
    port = url.port or (443 if secure else 80)
    try:
        addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        connected = await start_connection(addresses, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS)
        _, connection = await loop.create_connection(
            Connection, sock=connected, ssl=tls if secure else None, server_hostname=host if secure else None
        )
    except OSError as error:
        raise httpx.ConnectError(str(error)) from error
    return connection


def _now() -> float:
    return asyncio.get_running_loop().time()
