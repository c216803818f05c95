"""Who may change something on the operator's listener: whoever posts and shows its token."""

import hmac
from collections.abc import Callable, Mapping
from typing import NamedTuple


class Answer(NamedTuple):
    """Status, text, and headers besides the usual ones."""

    status: int
    text: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


class Guard:
    """Knows the token. `secret` is what it is now; empty lets nobody in."""

    def __init__(self, secret: Callable[[], str]) -> None:
        self._secret = secret

    def refusal(self, method: str, headers: Mapping[bytes, bytes], what: str) -> Answer | None:
        """Why the sender may not, or None if he may. `what` is the verb for his purpose; header names in lower case."""
        if method != "POST":
            return Answer(405, f"only POST {what}s", ((b"allow", b"POST"),))
        secret = self._secret().encode()
        if not secret:
            return Answer(403, f"nobody may {what} here: write ops: {{token: {{file: …}}}} into extauthz.yaml")
        scheme, _, shown = headers.get(b"authorization", b"").partition(b" ")
        right = hmac.compare_digest(shown.strip(), secret)
        if scheme.lower() != b"bearer" or not right:
            return Answer(401, "show the token of the ops listener", ((b"www-authenticate", b"Bearer"),))
        return None
