"""One connection to an authorization server, and one question at a time on it (RFC 9112).

llhttp reads the answers, and what it calls no HTTP is trouble. A connection is used again only if nothing is left over: the
answer was read to its end, the server means to go on, and it sent not a byte more.
"""

import asyncio
import re
from typing import Final, cast

import httpx
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

MAX_HEAD_BYTES: Final = 64 * 1024
"""What an answer may take besides its body."""

_FORBIDDEN_IN_LINE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})
_OK: Final = 200


class HungUpError(httpx.ReadError):
    """The server closed the connection without a word: it may not have seen the question."""


class Connection(asyncio.Protocol):
    """Made by `create_connection`.

    Attributes:
        reusable: whether another question may be asked.
    """

    def __init__(self) -> None:
        self.reusable = True
        self._parser = HttpResponseParser(self)
        self._answer: asyncio.Future[httpx.Response] | None = None

    async def ask(self, question: bytes, max_bytes: int) -> httpx.Response:
        """The answer, its body cut off soon after so many bytes. Who does not wait for it must close the connection.

        Raises:
            httpx.TransportError: when there is none. The message quotes nothing of what came.
        """
        if not self.reusable:
            raise HungUpError("the server hung up")
        self.reusable = self._complete = self._goes_on = False
        self._max_bytes, self._left = max_bytes, max_bytes + MAX_HEAD_BYTES
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: bytearray | None = None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(question)
        return await self._answer

    def close(self) -> None:
        """At once: nobody waits for what is still under way."""
        self.reusable = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it for the questions."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """More of the answer; or what nobody asked for."""
        if self._answer is None or self._answer.done():
            self.close()
            return
        self._left -= len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._fail(httpx.RemoteProtocolError("the answer is not HTTP"))
            return
        if self._complete:
            self.reusable = self._goes_on
            self._succeed()
        elif self._body is not None and len(self._body) > self._max_bytes:
            self._succeed()
        elif self._left < 0:
            self._fail(httpx.RemoteProtocolError("the answer is too large"))

    def connection_lost(self, exc: Exception | None) -> None:
        """An answer that does not tell its length ends with the connection (RFC 9112 §6.3); any other breaks off."""
        self.reusable = False
        if self._answer is None or self._answer.done():
            return
        if self._left == self._max_bytes + MAX_HEAD_BYTES:
            self._fail(HungUpError("the server hung up"))
        elif self._body is not None and exc is None and not any(name.lower() in _FRAMING for name, _ in self._headers):
            self._succeed()
        else:
            self._fail(httpx.RemoteProtocolError("the answer broke off"))

    def _succeed(self) -> None:
        stream = httpx.ByteStream(bytes(self._body or b""))
        response = httpx.Response(self._parser.get_status_code(), headers=self._headers, stream=stream)
        cast("asyncio.Future[httpx.Response]", self._answer).set_result(response)

    def _fail(self, error: httpx.TransportError) -> None:
        cast("asyncio.Future[httpx.Response]", self._answer).set_exception(error)

    # What the parser calls.

    def on_message_begin(self) -> None:
        """An answer after the answer is not ours."""
        if self._complete:
            raise ValueError

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of the head, or of the trailer, which nobody looks at."""
        if self._body is None:
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """An interim answer (1xx) comes before the real one."""
        if self._parser.get_status_code() >= _OK:
            self._body = bytearray()
        else:
            self._headers = []

    def on_body(self, body: bytes) -> None:
        """A piece."""
        if self._body is not None:
            self._body += body

    def on_message_complete(self) -> None:
        """The end, unless it was an interim answer."""
        self._complete = self._body is not None
        self._goes_on = self._parser.should_keep_alive()


def message(request: httpx.Request) -> bytes:
    """The bytes of a request. Its host and the length of its content are set here, and not by its headers.

    Raises:
        httpx.LocalProtocolError: when a header would end before its end.
    """
    url, content = request.url, request.read()
    lines = [b"%s %s HTTP/1.1" % (request.method.encode(), url.raw_path), b"host: " + url.netloc]
    lines += [b"%s: %s" % header for header in request.headers.raw]
    if content:
        lines.append(b"content-length: %d" % len(content))
    if _FORBIDDEN_IN_LINE.search(b"".join(lines)):
        raise httpx.LocalProtocolError("a header of our request has a control character")
    return b"%s\r\n\r\n%s" % (b"\r\n".join(lines), content)
