"""What the operator's listener asks of whoever wants to change something: `POST`, and the token of the configuration."""

import hmac
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from extauthz.wire.asgi import Receive, Scope

MAX_BODY_BYTES: Final = 64 * 1024


class Answer(NamedTuple):
    """Status, text, and headers besides the usual ones."""

    status: int
    text: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class RefusedError(Exception):
    """The request is not carried out; `answer` says why."""

    def __init__(self, status: int, text: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(text)
        self.answer = Answer(status, text, headers)


class Guard:
    """Knows the token. `secret` is what it is now; empty lets nobody in."""

    def __init__(self, secret: Callable[[], str]) -> None:
        self._secret = secret

    def admit(self, scope: Scope, what: str) -> Mapping[bytes, bytes]:
        """The request's headers, by names in lower case, if its sender may do it. `what` is the verb for that.

        Raises:
            RefusedError: when he may not.
        """
        headers = {name.lower(): value for name, value in scope["headers"]}
        if scope["method"] != "POST":
            raise RefusedError(405, "send POST", (b"allow", b"POST"))
        secret = self._secret().encode()
        if not secret:
            raise RefusedError(403, f"nobody may {what} here: write ops: {{token: {{file: …}}}} into extauthz.yaml")
        scheme, _, shown = headers.get(b"authorization", b"").partition(b" ")
        right = hmac.compare_digest(shown.strip(), secret)
        if scheme.lower() != b"bearer" or not right:
            raise RefusedError(401, "show the token of the ops listener", (b"www-authenticate", b"Bearer"))
        return headers


async def body_of(receive: Receive) -> bytes:
    """All of it.

    Raises:
        RefusedError: when it is too long, or ends early.
    """
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(400, "the request ended early")
        body += message.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise RefusedError(413, f"at most {MAX_BODY_BYTES} bytes")
        more = message.get("more_body", False)
    return bytes(body)
