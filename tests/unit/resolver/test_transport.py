"""Connections with certificates: the server's is checked, ours is shown, and both may change while we run."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from extauthz.cli.processes import free_ports
from extauthz.keyfiles import TlsFiles, tls_context
from extauthz.resolver.transport import Transport
from extauthz.resolver.watched_file import Fixed, Watched
from extauthz.testing import RecordingObserver, TickingClock
from support.certificates import Authority, KeyPair

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


class TlsServer:
    """A server that asks for a client certificate, and remembers whose it saw and on how many connections."""

    def __init__(self, authority: Authority, pair: KeyPair) -> None:
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.path)
        self.tls.load_cert_chain(pair.certificate, pair.key)
        self.tls.verify_mode = ssl.CERT_REQUIRED
        self.names: list[str] = []
        self.open = 0
        self.hold = asyncio.Event()
        self.hold.set()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer requests until the other side closes."""
        self.open += 1
        try:
            certificate = writer.get_extra_info("peercert")
            while await reader.readuntil(b"\r\n\r\n"):
                self.names.append(certificate["subject"][0][0][1])
                await self.hold.wait()
                writer.write(HEAD)
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            self.open -= 1
            writer.close()

    @asynccontextmanager
    async def served(self) -> AsyncIterator[str]:
        """Its address."""
        (port,) = free_ports(1)
        server = await asyncio.start_server(self.talk, "127.0.0.1", port, ssl=self.tls)
        try:
            yield f"https://127.0.0.1:{port}/"
        finally:
            server.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder)


@pytest.fixture(scope="module")
def server_pair(authority: Authority) -> KeyPair:
    return authority.issue("server")


def watched(authority: Authority, folder: Path, clock: TickingClock) -> Watched[ssl.SSLContext]:
    """How a client whose certificate `put` changes talks TLS."""
    files = TlsFiles(ca=authority.path, certificate=folder / "now.pem", key=folder / "now.key")
    return Watched("main", files.paths, lambda: tls_context(files), observer=RecordingObserver(), monotonic=clock)


def put(pair: KeyPair, folder: Path) -> None:
    """Make this the client's certificate."""
    (folder / "now.pem").write_bytes(pair.certificate.read_bytes())
    (folder / "now.key").write_bytes(pair.key.read_bytes())


@pytest.mark.shows("S63")
async def test_our_certificate_is_shown(authority: Authority, server_pair: KeyPair) -> None:
    """And the server's is checked against the authority that is configured."""
    pair = authority.issue("gateway")
    server = TlsServer(authority, server_pair)
    files = TlsFiles(ca=authority.path, certificate=pair.certificate, key=pair.key)
    async with server.served() as url:
        transport = Transport(tls=Fixed(tls_context(files)))
        assert (await transport.get(url)).status == 200
        await transport.close()
    assert server.names == ["gateway"]


async def test_a_server_of_another_authority_is_not_talked_to(authority: Authority, server_pair: KeyPair) -> None:
    """There is no way to switch that off."""
    server = TlsServer(authority, server_pair)
    async with server.served() as url:
        transport = Transport(tls=Fixed(tls_context(TlsFiles())))
        with pytest.raises(httpx.TransportError):
            await transport.get(url)
        await transport.close()
    assert server.names == []


@pytest.mark.shows("S64")
async def test_a_new_certificate_is_used_at_once_and_a_request_in_flight_ends_well(
    authority: Authority, server_pair: KeyPair, folder: Path
) -> None:
    """The old connections are closed when nobody uses them any more."""
    server, clock = TlsServer(authority, server_pair), TickingClock()
    put(authority.issue("first"), folder)
    async with server.served() as url:
        transport = Transport(tls=watched(authority, folder, clock))
        server.hold.clear()
        in_flight = asyncio.create_task(transport.get(url))
        await until(lambda: server.names == ["first"])
        put(authority.issue("second"), folder)
        clock.advance(1)
        later = asyncio.create_task(transport.get(url))
        await until(lambda: server.names == ["first", "second"])
        server.hold.set()
        assert [(await asked).status for asked in (in_flight, later)] == [200, 200]
        await until(lambda: server.open == 1)
        assert (await transport.get(url)).status == 200
        assert server.names == ["first", "second", "second"]
        await transport.close()


async def test_idle_connections_with_an_old_certificate_are_closed(
    authority: Authority, server_pair: KeyPair, folder: Path
) -> None:
    """The server may have forgotten whom it let in with it."""
    server, clock = TlsServer(authority, server_pair), TickingClock()
    put(authority.issue("first"), folder)
    async with server.served() as url:
        transport = Transport(tls=watched(authority, folder, clock))
        await transport.get(url)
        put(authority.issue("second"), folder)
        clock.advance(1)
        await transport.get(url)
        await until(lambda: server.open == 1)
        await transport.close()
    assert server.names == ["first", "second"]


async def test_a_certificate_without_its_key_changes_nothing(
    authority: Authority, server_pair: KeyPair, folder: Path
) -> None:
    """Two files are not written at the same moment; in between the old pair goes on."""
    server, clock = TlsServer(authority, server_pair), TickingClock()
    put(authority.issue("first"), folder)
    async with server.served() as url:
        transport = Transport(tls=watched(authority, folder, clock))
        second = authority.issue("second")
        (folder / "now.pem").write_bytes(second.certificate.read_bytes())
        clock.advance(1)
        await transport.get(url)
        (folder / "now.key").write_bytes(second.key.read_bytes())
        clock.advance(1)
        await transport.get(url)
        await transport.close()
    assert server.names == ["first", "second"]


async def until(holds: Callable[[], bool]) -> None:
    """Return once it holds."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - what a server sees has no event
            await asyncio.sleep(0.01)
