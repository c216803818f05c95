"""The question over real connections, with servers that misbehave: never an exception, never an allow."""

import asyncio
import gzip
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings as hypothesis_settings, strategies as st

from extauthz.cli.processes import free_ports
from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Inactive, TokenState, Unavailable
from extauthz.core.token import Token
from extauthz.resolver.ladder import Ladder
from extauthz.resolver.settings import ServerSettings
from support import asking

TOKEN = "mF_9.B5f-4.1JqM"
YES = b'{"active": true, "scope": "orders:read", "sub": "u1"}'
NO = b'{"active": false}'

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", "content-type: application/json", *lines, "", ""]).encode()


WHOLE = head(f"content-length: {len(YES)}") + YES


def says(answer: bytes) -> Handler:
    """A server that answers each question with these bytes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await read_question(reader):
            writer.write(answer)
            await writer.drain()

    return handle


def says_and_closes(answer: bytes) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_question(reader)
        writer.write(answer)

    return handle


async def read_question(reader: asyncio.StreamReader) -> bytes:
    """The body of the next question, empty when there is none."""
    try:
        lines = await reader.readuntil(b"\r\n\r\n")
        length = int(lines.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_question(reader)
    writer.transport.abort()


async def hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await read_question(reader)


async def silence(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await read_question(reader)
    await reader.read()


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Each byte comes soon enough; the answer never does."""
    await read_question(reader)
    writer.write(head("content-length: 1000"))
    while not reader.at_eof() and not writer.is_closing():
        writer.write(b" ")
        await asyncio.sleep(0.02)


@asynccontextmanager
async def served(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The address of a server on the loopback interface that talks to each connection in this way."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    (port,) = free_ports(1)
    server = await asyncio.start_server(talk, "127.0.0.1", port, ssl=tls)
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{port}/introspect"
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def client_of(url: str, timeout: float = 30.0, **changed: Any) -> AsyncIterator[Ladder[Token, Active | Inactive]]:  # noqa: ANN401, ASYNC109 - settings differ in type, this one among them
    settings = ServerSettings(name="main", introspection_endpoint=url, client_id="gateway", **changed)
    client = asking.within(asking.client_of(settings, asking.with_secret("gateway", "s3cret")), timeout)
    try:
        yield client
    finally:
        await client.close()


def self_signed(folder: Path) -> ssl.SSLContext:
    """A server that vouches for itself."""
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "certificate")]
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    subprocess.run([*make, *files, *name], check=True, capture_output=True, timeout=20)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(folder / "certificate", folder / "key")
    return tls


async def ask(handler: Handler, **changed: Any) -> TokenState:  # noqa: ANN401 - settings differ in type
    async with served(handler) as url, client_of(url, **changed) as client:
        return await client.ask(Token(TOKEN))


def trouble(state: TokenState) -> Reason:
    assert isinstance(state, Unavailable)
    assert TOKEN not in state.detail
    return state.reason


class TestTrouble:
    """It ends as `Unavailable`, with a reason that tells the operator where to look."""

    async def test_a_good_answer_arrives(self) -> None:
        """The measure for all the others."""
        assert await ask(says(WHOLE)) == Active(scopes=frozenset({"orders:read"}), scope="orders:read", sub="u1")

    @pytest.mark.shows("O15", "S26")
    @pytest.mark.parametrize(
        ("handler", "reason"),
        [
            (reset, Reason.SERVER_UNREACHABLE),
            (hang_up, Reason.SERVER_UNREACHABLE),
            (says_and_closes(head("content-length: 1000") + YES), Reason.SERVER_UNREACHABLE),
            (says_and_closes(head("transfer-encoding: chunked") + b'5\r\n{"act'), Reason.SERVER_UNREACHABLE),
            (says_and_closes(b"220 mail.example.com ESMTP\r\n\r\n"), Reason.SERVER_UNREACHABLE),
            (says_and_closes(b"\x15\x03\x01\x00\x02\x02\x28"), Reason.SERVER_UNREACHABLE),
            (says(head("content-length: 4") + b"\x00\xff{}"), Reason.SERVER_ANSWER_INVALID),
            (says(head("location: /elsewhere", "content-length: 0", status="307 x")), Reason.SERVER_ANSWER_INVALID),
        ],
        ids=["reset", "hung up", "cut short", "cut chunk", "another protocol", "TLS alert", "garbage", "redirect"],
    )
    async def test_trouble_has_a_name(self, handler: Handler, reason: Reason) -> None:
        """It tells the operator where to look: the network, or the server."""
        assert trouble(await ask(handler)) is reason

    async def test_nobody_listens(self) -> None:
        """A refused connection is not a slow one."""
        (port,) = free_ports(1)
        async with client_of(f"http://127.0.0.1:{port}/introspect") as client:
            assert trouble(await client.ask(Token(TOKEN))) is Reason.SERVER_UNREACHABLE

    @pytest.mark.shows("S23")
    async def test_plain_text_is_not_spoken_where_tls_is_wanted(self) -> None:
        """There is no way back from https to http."""

        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(WHOLE)

        async with served(plain) as url, client_of(url.replace("http:", "https:")) as client:
            assert trouble(await client.ask(Token(TOKEN))) is Reason.SERVER_UNREACHABLE

    @pytest.mark.shows("S23")
    async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(self, tmp_path: Path) -> None:
        """There is no way to switch that off."""
        async with served(says(WHOLE), self_signed(tmp_path)) as url, client_of(url) as client:
            assert trouble(await client.ask(Token(TOKEN))) is Reason.SERVER_UNREACHABLE

    @pytest.mark.shows("S28")
    @pytest.mark.parametrize("handler", [silence, drip], ids=["silent", "dripping"])
    async def test_one_deadline_covers_the_whole_answer(self, handler: Handler) -> None:
        """A server that keeps sending does not get more time: it would end after 20 seconds, with what is no answer."""
        started = time.monotonic()
        assert trouble(await ask(handler, timeout=0.2)) is Reason.SERVER_TIMEOUT
        assert time.monotonic() - started > 0.19

    async def test_a_server_that_hangs_up_is_asked_once_more_and_no_more(self) -> None:
        """Every dropped question would otherwise become a flood."""
        questions: list[bytes] = []

        async def drop(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            questions.append(await read_question(reader))

        assert trouble(await ask(drop)) is Reason.SERVER_UNREACHABLE
        assert len(questions) == 2

    @pytest.mark.shows("S17")
    async def test_a_huge_answer_is_not_read_to_its_end(self) -> None:
        """It is dropped with its connection soon after 256 KiB."""
        sent: list[int] = []
        ended = asyncio.Event()

        async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_question(reader)
            writer.write(head("content-length: 1000000000"))
            try:
                while not writer.is_closing():
                    writer.write(b" " * 65_536)
                    sent.append(65_536)
                    await writer.drain()
            finally:
                ended.set()

        async with served(endless) as url, client_of(url) as client:
            assert trouble(await client.ask(Token(TOKEN))) is Reason.SERVER_ANSWER_INVALID
            await asyncio.wait_for(ended.wait(), 30)
        assert 256 * 1024 < sum(sent) < 32 * 1024 * 1024

    @pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, identity"])
    async def test_a_packed_answer_is_refused(self, encoding: str) -> None:
        """We did not offer to unpack; a small one may unpack to any size."""
        body = gzip.compress(YES) if encoding == "gzip" else YES
        answer = head(f"content-encoding: {encoding}", f"content-length: {len(body)}") + body
        assert trouble(await ask(says(answer))) is Reason.SERVER_ANSWER_INVALID

    @pytest.mark.shows("S23")
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    async def test_a_redirect_is_not_followed(self, status: int) -> None:
        """The token and our secret would go to whomever it names."""
        visits: list[bytes] = []

        async def elsewhere(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            visits.append(await read_question(reader))
            writer.write(WHOLE)

        async with served(elsewhere) as other:
            answer = head(f"location: {other}", "content-length: 0", status=f"{status} Moved")
            assert trouble(await ask(says(answer))) is Reason.SERVER_ANSWER_INVALID
        assert visits == []


class TestConnections:
    """They are kept, limited, and never mixed up."""

    async def test_one_that_the_server_closed_when_idle_is_replaced(self) -> None:
        """Its closing and our next question may cross."""

        async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_question(reader)
            writer.write(WHOLE)
            await writer.drain()
            await read_question(reader)

        async with served(once) as url, client_of(url, max_connections=1) as client:
            states = [await client.ask(Token(f"t{number}")) for number in range(5)]
        assert {type(state) for state in states} == {Active}

    async def test_a_late_answer_is_not_taken_for_the_next_one(self) -> None:
        """A connection with an unread answer is never used again."""
        given_up = asyncio.Event()

        async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while body := await read_question(reader):
                if b"token=slow" in body:
                    await given_up.wait()
                    writer.write(WHOLE)
                else:
                    writer.write(head(f"content-length: {len(NO)}") + NO)

        async with served(late) as url, client_of(url, timeout=0.2, max_connections=1) as client:
            assert trouble(await client.ask(Token("slow"))) is Reason.SERVER_TIMEOUT
            given_up.set()
            client._settings = replace(client._settings, timeout=30.0)  # noqa: SLF001 - nobody hurries the next one
            assert await client.ask(Token("fast")) == Inactive()

    async def test_a_proxy_of_the_environment_is_not_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Tokens go where the configuration says and nowhere else."""
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        assert isinstance(await ask(says(WHOLE)), Active)

    async def test_connections_are_kept_and_limited(self) -> None:
        """Many questions at once share the connections that we may open."""
        connections: list[object] = []

        async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(writer)
            await says(WHOLE)(reader, writer)

        async with served(counted) as url, client_of(url, max_connections=2) as client:
            states = await asyncio.gather(*(client.ask(Token(f"t{number}")) for number in range(20)))
        assert {type(state) for state in states} == {Active}
        assert 1 <= len(connections) <= 2

    async def test_cancelling_the_question_ends_it(self) -> None:
        """Cancellation is not trouble of the server; it passes through."""
        async with served(silence) as url, client_of(url) as client:
            asking = asyncio.create_task(client.ask(Token(TOKEN)))
            await asyncio.sleep(0.05)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking


@pytest.mark.shows("O15", "S17")
@hypothesis_settings(deadline=None, max_examples=60)
@given(answer=st.binary(max_size=200) | st.binary(max_size=200).map(lambda body: head("content-length: 100") + body))
def test_no_bytes_make_it_raise_or_allow(answer: bytes) -> None:
    """Whatever a server sends, it is trouble unless it is an answer."""
    assert isinstance(asyncio.run(ask(says_and_closes(answer), timeout=1.0)), Unavailable)
