"""A proxy that breaks things on purpose, between a client and an HTTP server: in a thread, told what to do by the test.

Without a fault it is transparent: bytes pass unchanged, and a connection here lives as long as the one behind it.
A fault is what happens with one exchange of request and answer; `having` puts one in place for a while.
"""

import asyncio
import itertools
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from extauthz.cli.processes import free_ports

LOOPBACK = "127.0.0.1"
_SECONDS = 30.0
_HEAD_END = b"\r\n\r\n"
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: forget what was not sent, and send RST instead of FIN."""


class Exchange:
    """One request, and what can be done about it.

    Attributes:
        request: all of it, as it came.
    """

    def __init__(
        self,
        request: bytes,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self.request = request
        self._from_client, self._to_client = client
        self._from_server, self._to_server = server

    async def answer(self) -> bytes:
        """All that the server says to the request."""
        self._to_server.write(self.request)
        answer = await _message(self._from_server)
        if answer is None:
            raise ConnectionError("the server hung up")
        return answer

    async def send(self, data: bytes) -> None:
        """Pass bytes to the client."""
        self._to_client.write(data)
        await self._to_client.drain()

    async def wait(self, seconds: float | None = None) -> None:
        """Do nothing, for ever or so long.

        Raises:
            ConnectionError: the client went away meanwhile.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._from_client.read(1)
                raise ConnectionError("the client hung up")

    def close(self) -> None:
        """End the client's connection in order, once all was sent."""
        self._to_client.close()

    def reset(self) -> None:
        """End it by RST."""
        _reset(self._to_client)


Fault = Callable[[Exchange], Awaitable[None]]


async def passing(exchange: Exchange) -> None:
    """No fault at all."""
    await exchange.send(await exchange.answer())


def late(seconds: float) -> Fault:
    """The whole answer, after a while."""

    async def act(exchange: Exchange) -> None:
        answer = await exchange.answer()
        await exchange.wait(seconds)
        await exchange.send(answer)

    return act


async def hanging(exchange: Exchange) -> None:
    """No answer, ever."""
    await exchange.wait()


async def reset_at_once(exchange: Exchange) -> None:
    """RST to a new connection before it asks anything; to an older one when it asks."""
    exchange.reset()


async def reset_after_request(exchange: Exchange) -> None:
    """RST once the request is there, though the server has answered it."""
    await exchange.answer()
    exchange.reset()


async def reset_in_body(exchange: Exchange) -> None:
    """Half of the body, then RST."""
    await exchange.send(_half(await exchange.answer()))
    exchange.reset()


async def truncated(exchange: Exchange) -> None:
    """Half of the body, then an end in order."""
    await exchange.send(_half(await exchange.answer()))
    exchange.close()


async def hanging_up(exchange: Exchange) -> None:
    """An end in order instead of an answer."""
    exchange.close()


def dripping(seconds: float) -> Fault:
    """The whole answer, one byte after the other with so long a pause before each."""

    async def act(exchange: Exchange) -> None:
        for byte in await exchange.answer():
            await exchange.wait(seconds)
            await exchange.send(bytes([byte]))

    return act


def saying(data: bytes) -> Fault:
    """These bytes, whatever they are, then an end in order."""

    async def act(exchange: Exchange) -> None:
        await exchange.send(data)
        exchange.close()

    return act


def answering(status: int, *headers: str, body: str = "") -> Fault:
    """An answer of our own; the connection lives on."""
    lines = (f"HTTP/1.1 {status} Made-Up", f"content-length: {len(body)}", *headers, "", body)

    async def act(exchange: Exchange) -> None:
        await exchange.send("\r\n".join(lines).encode("ascii"))

    return act


def after(count: int, fault: Fault) -> Fault:
    """So many exchanges without a fault, then the fault."""
    before = itertools.count(1)

    async def act(exchange: Exchange) -> None:
        await (passing if next(before) <= count else fault)(exchange)

    return act


class FaultProxy:
    """Listens on a loopback port and passes to another. A context manager; starts without a fault.

    Attributes:
        port: where it listens.
        connections: how many it accepted so far.
        requests: how many it was asked so far.
        open: how many connections are open to clients now.
    """

    def __init__(self, upstream_port: int) -> None:
        (self.port,) = free_ports(1)
        self.connections = self.requests = 0
        self._fault: Fault = passing
        self._upstream_port = upstream_port
        self._clients: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy")

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        self._run(self._listen())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cut all connections and end."""
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def open(self) -> int:
        """Connections from clients that neither side has closed."""
        return len(self._clients)

    def through(self, url: str) -> str:
        """The same URL, but through here."""
        return urlunsplit(urlsplit(url)._replace(netloc=f"{LOOPBACK}:{self.port}"))

    @contextmanager
    def having(self, fault: Fault) -> Iterator[None]:
        """With this fault in all exchanges that begin meanwhile."""
        self._fault = fault
        try:
            yield
        finally:
            self._fault = passing

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """With nobody listening, and all connections reset."""
        self._run(self._close())
        try:
            yield
        finally:
            self._run(self._listen())

    def reset_connections(self) -> None:
        """RST to all that are open, idle ones included."""
        self._run(self._reset_all())

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(_SECONDS)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port)

    async def _close(self) -> None:
        self._server.close()
        await self._reset_all()

    async def _reset_all(self) -> None:
        for client in self._clients:
            _reset(client)

    async def _end(self) -> None:
        await self._close()
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0)  # the transports' own last steps

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._clients.add(writer)
        try:
            if self._fault is reset_at_once:
                _reset(writer)
            else:
                await self._serve_requests(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # either side went away
        finally:
            self._clients.discard(writer)
            writer.close()

    async def _serve_requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = await asyncio.open_connection(LOOPBACK, self._upstream_port)
        try:
            while not writer.is_closing() and (request := await _message(reader)):
                self.requests += 1
                await self._fault(Exchange(request, (reader, writer), server))
        finally:
            server[1].close()


async def _message(reader: asyncio.StreamReader) -> bytes | None:
    """One request or answer with its body, None at the end of the connection."""
    try:
        head = await reader.readuntil(_HEAD_END)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    lines = head.lower().split(b"\r\n")
    if b"transfer-encoding: chunked" in lines:
        return head + await _chunks(reader)
    lengths = [int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")]
    return head + await reader.readexactly(sum(lengths))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """A chunked body (RFC 9112 §7.1), trailers excluded."""
    body, size = b"", -1
    while size != 0:
        line = await reader.readuntil(b"\r\n")
        size = int(line, 16)
        body += line + await reader.readexactly(size + len(b"\r\n"))
    return body


def _half(answer: bytes) -> bytes:
    head, end, body = answer.partition(_HEAD_END)
    return head + end + body[: len(body) // 2]


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() != -1:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
