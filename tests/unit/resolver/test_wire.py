"""Connections are kept for a while, used by one request at a time, and given back."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from extauthz.cli.processes import free_ports
from extauthz.resolver import wire
from extauthz.resolver.wire import Wire

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


class Server:
    """Answers everything, and knows its connections."""

    def __init__(self) -> None:
        self.made = self.open = 0
        self.url = ""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.made += 1
        self.open += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            writer.close()


@asynccontextmanager
async def served(host: str = "127.0.0.1") -> AsyncIterator[Server]:
    server, (port,) = Server(), free_ports(1)
    listening = await asyncio.start_server(server.talk, "127.0.0.1", port)
    server.url = f"http://{host}:{port}/"
    try:
        yield server
    finally:
        listening.close()


def wire_of(max_connections: int = 100) -> Wire:
    return Wire(max_connections, ssl.create_default_context())


async def ask(asked: Wire, url: str) -> int:
    request = httpx.Request("GET", url, stream=httpx.ByteStream(b""))
    return (await asked.handle_async_request(request)).status_code


async def until_closed(server: Server) -> None:
    for _ in range(3000):
        if server.open == 0:
            return
        await asyncio.sleep(0.01)
    raise AssertionError


async def test_one_connection_carries_many_requests() -> None:
    """One after the other."""
    async with served() as server:
        asked = wire_of()
        assert [await ask(asked, server.url) for _ in range(5)] == [200] * 5
        assert server.made == 1
        await asked.aclose()
        await until_closed(server)


async def test_one_that_was_idle_for_long_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody on the way may have forgotten it without a word."""
    monkeypatch.setattr(wire, "KEEPALIVE_SECONDS", 0.0)
    async with served() as server:
        asked = wire_of()
        for _ in range(3):
            await ask(asked, server.url)
        await asked.aclose()
        await until_closed(server)
        assert server.made == 3


async def test_what_is_in_use_when_all_is_closed_is_closed_with_its_answer() -> None:
    """A request in flight ends well."""
    async with served() as server:
        asked = wire_of()
        in_flight = asyncio.create_task(ask(asked, server.url))
        await asyncio.sleep(0)
        await asked.aclose()
        assert await in_flight == 200
        await until_closed(server)


async def test_who_goes_away_takes_the_connection_along() -> None:
    """Its answer would be taken for the next one's."""
    async with served() as server:
        asked = wire_of(max_connections=1)
        await ask(asked, server.url)
        gone = asyncio.create_task(ask(asked, server.url))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert await ask(asked, server.url) == 200
        assert server.made == 2
        await asked.aclose()


async def test_hosts_do_not_share_connections() -> None:
    """A secret would go to the wrong one."""
    async with served() as one, served("localhost") as other:
        asked = wire_of()
        for server in (one, other, one, other):
            await ask(asked, server.url)
        assert (one.made, other.made) == (1, 1)
        await asked.aclose()


async def test_a_host_that_nobody_knows_is_no_connection() -> None:
    """Nor is a port where nobody listens."""
    (port,) = free_ports(1)
    asked = wire_of()
    for url in ("http://nowhere.invalid/", f"http://127.0.0.1:{port}/"):
        with pytest.raises(httpx.ConnectError):
            await ask(asked, url)
    await asked.aclose()
