"""An authorization server that takes as long as one likes and counts what it is asked. NGINX can do neither.

    python -m bench.authorization_server PORT

`POST /<milliseconds>/introspect` answers after so long, and `GET /asked` says how many questions there were. It speaks
just enough HTTP/1.1 for a client that waits for each answer, at about 10 µs of CPU for a question.
"""

import asyncio
import json
import sys
import urllib.request
from typing import cast

import uvloop

from bench.files import EXPIRES
from bench.workload import AUDIENCE, SCOPE

_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_INACTIVE = b'{"active": false}'
_MEMBERS = {"active": True, "client_id": "bench", "scope": SCOPE, "aud": AUDIENCE, "exp": EXPIRES}
_ACTIVE = json.dumps(_MEMBERS)[:-1].encode() + b', "sub": "user-%032x"}'


class AuthorizationServer:
    """One that runs, as those see it who started it."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def url(self, milliseconds: int) -> str:
        """Where questions are answered after so long."""
        return f"{self._url}/{milliseconds}/introspect"

    def asked(self) -> int:
        """Questions so far."""
        with urllib.request.urlopen(f"{self._url}/asked", timeout=5) as answer:  # noqa: S310 - a URL of ours
            return int(answer.read())


class _Connection(asyncio.Protocol):
    """One connection; `asked` has one element, which counts the questions on all of them."""

    def __init__(self, asked: list[int]) -> None:
        self._asked = asked
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it for the answers."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer if the question is complete."""
        self._buffer += data
        head, end, body = self._buffer.partition(_HEAD_END)
        if not end or len(body) < _content_length(head):
            return
        self._buffer = b""
        path = head.split(b" ", 2)[1]
        if path == b"/asked":
            self._answer(b"%d" % self._asked[0])
            return
        self._asked[0] += 1
        answer = _INACTIVE if b"token=refused" in body else _ACTIVE % self._asked[0]
        milliseconds = int(path.split(b"/")[1])
        if milliseconds:
            asyncio.get_running_loop().call_later(milliseconds / 1e3, self._answer, answer)
        else:
            self._answer(answer)

    def _answer(self, body: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        self._transport.write(head + body)


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(_LENGTH)
    return int(rest.split(b"\r\n", 1)[0]) if found else 0


async def _main(port: int) -> None:
    loop = asyncio.get_running_loop()
    asked = [0]
    server = await loop.create_server(lambda: _Connection(asked), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_main(int(sys.argv[1])))
