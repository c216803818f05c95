"""One question and its answer, byte by byte: what is an answer, where it ends, and whether another question may follow."""

import asyncio
from typing import Any

import httpx
import pytest

from extauthz.resolver.http1 import MAX_HEAD_BYTES, Connection, HungUpError, message

QUESTION = b"POST / HTTP/1.1\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
UNTIL_THE_END = b"HTTP/1.1 200 OK\r\n\r\n{}"
CANARY = b"mF_9.B5f-4.1JqM"


class Line(asyncio.Transport):
    """The other end, as a test plays it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False

    def write(self, data: Any) -> None:  # noqa: ANN401 - as asyncio has it
        self.written += data

    def abort(self) -> None:
        self.aborted = True


class Call:
    """A connection on which a question was asked."""

    def __init__(self, max_bytes: int = 1000) -> None:
        self.line, self.connection = Line(), Connection()
        self.connection.connection_made(self.line)
        self.ask(max_bytes)

    def ask(self, max_bytes: int = 1000) -> None:
        self.answer = asyncio.ensure_future(self.connection.ask(QUESTION, max_bytes))

    async def hears(self, *pieces: bytes) -> "Call":
        """These bytes come in such pieces."""
        await asyncio.sleep(0)
        for piece in pieces:
            self.connection.data_received(piece)
        return self

    async def ends(self, error: Exception | None = None) -> "Call":
        """The other side is gone."""
        await asyncio.sleep(0)
        self.connection.connection_lost(error)
        return self

    async def body(self) -> bytes:
        return await (await self.answer).aread()


def pieces(text: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in text]


async def test_an_answer_may_come_in_any_pieces() -> None:
    """A network promises no more than their order."""
    for parts in ([WHOLE], pieces(WHOLE), [WHOLE[:10], WHOLE[10:]]):
        call = await Call().hears(*parts)
        assert await call.body() == b"{}"
        assert call.connection.reusable


async def test_the_next_question_follows_on_the_same_connection() -> None:
    """Which costs no new one."""
    call = await Call().hears(WHOLE)
    await call.answer
    call.ask()
    await call.hears(WHOLE.replace(b"{}", b"[]"))
    assert await call.body() == b"[]"
    assert call.line.written == QUESTION * 2


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
    ],
)
async def test_a_server_that_means_to_close_is_asked_no_more(answer: bytes) -> None:
    """Its answer is good all the same."""
    call = await Call().hears(answer)
    assert await call.body() == b"{}"
    assert not call.connection.reusable


async def test_chunks_are_put_together() -> None:
    """And what stands in the trailer is no header."""
    chunks = b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\nx-late: 1\r\n\r\n"
    call = await Call().hears(b"HTTP/1.1 200 OK\r\n" + chunks)
    assert await call.body() == b"{}"
    assert "x-late" not in (await call.answer).headers


async def test_an_interim_answer_is_passed_over() -> None:
    """RFC 9110 §15.2: a client must be able to."""
    call = await Call().hears(b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n", WHOLE)
    assert (await call.answer).status_code == 200
    assert "link" not in (await call.answer).headers


async def test_without_a_length_the_end_of_the_connection_is_the_end() -> None:
    """RFC 9112 §6.3."""
    call = await Call().hears(UNTIL_THE_END)
    assert not call.answer.done()
    await call.ends()
    assert await call.body() == b"{}"
    assert not call.connection.reusable


async def test_a_broken_connection_is_no_end() -> None:
    """Half an answer may mean something else."""
    call = await Call().hears(UNTIL_THE_END)
    await call.ends(ConnectionResetError())
    with pytest.raises(httpx.RemoteProtocolError):
        await call.answer


@pytest.mark.parametrize(
    "answer",
    [
        b"220 %s ESMTP\r\n\r\n" % CANARY,
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx : y\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%s\r\n" % CANARY,
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        WHOLE + WHOLE,
        WHOLE + CANARY,
    ],
)
async def test_what_has_no_one_meaning_is_trouble(answer: bytes) -> None:
    """The message repeats nothing of it: an answer may quote the token."""
    call = await Call().hears(answer)
    with pytest.raises(httpx.RemoteProtocolError) as raised:
        await call.answer
    assert CANARY.decode() not in str(raised.value)
    assert not call.connection.reusable


async def test_an_answer_that_breaks_off_is_trouble() -> None:
    """And no reason to ask again: the server has seen the question."""
    for part in (WHOLE[:5], WHOLE[:-1]):
        call = await Call().hears(part)
        await call.ends()
        with pytest.raises(httpx.RemoteProtocolError):
            await call.answer


async def test_a_server_that_hangs_up_without_a_word_may_not_have_heard_us() -> None:
    """It may close an idle connection just as we take it; whoever comes too late learns it at once."""
    call = await Call().ends()
    for _ in range(2):
        with pytest.raises(HungUpError):
            await call.answer
        call.ask()


async def test_a_large_body_is_cut_off() -> None:
    """Soon after its limit; the connection is of no use any more."""
    call = await Call(max_bytes=10).hears(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", b"x" * 6, b"x" * 6)
    assert len(await call.body()) == 12
    assert not call.connection.reusable


async def test_a_head_without_end_is_not_read_for_ever() -> None:
    """Nor is a body of empty shells."""
    line = b"x: " + b"y" * 1000 + b"\r\n"
    call = await Call().hears(b"HTTP/1.1 200 OK\r\n", *[line] * (MAX_HEAD_BYTES // len(line) + 2))
    with pytest.raises(httpx.RemoteProtocolError):
        await call.answer


async def test_an_answer_that_nobody_asked_for_ends_the_connection() -> None:
    """It would be taken for the answer to the next question."""
    call = await Call().hears(WHOLE)
    await call.answer
    await call.hears(WHOLE)
    assert call.line.aborted
    assert not call.connection.reusable


def test_a_request_says_where_it_goes_and_how_long_it_is() -> None:
    """Its own headers need not."""
    asked = httpx.Request("POST", "http://[::1]:8080/a?b", headers={"x": "y"}, stream=httpx.ByteStream(b"token=t"))
    expected = b"POST /a?b HTTP/1.1\r\nhost: [::1]:8080\r\nx: y\r\ncontent-length: 7\r\n\r\ntoken=t"
    assert message(asked).lower() == expected.lower()


@pytest.mark.parametrize("text", ["a\r\nb: c", "a\nb", "a\x00", "a\x7f"])
def test_a_header_holds_one_line(text: str) -> None:
    """Whatever a secret or a trace may be."""
    request = httpx.Request("GET", "http://a/", headers={"x": text}, stream=httpx.ByteStream(b""))
    with pytest.raises(httpx.LocalProtocolError):
        message(request)
