"""One question to the engine, with a token whose state is given: `Authorizer` itself answers, at once and without I/O."""

import re
from typing import NamedTuple

from extauthz.authorizer import Authorizer
from extauthz.core.introspection import Resolution, TokenState
from extauthz.core.request import AuthRequest
from extauthz.core.snapshot import Snapshot
from extauthz.core.terms import Terms
from extauthz.core.token import Token
from extauthz.observe.events import DECISION_ID_LENGTH, Checked, Observers

_URL = re.compile(r"(?:https?://([^/?#]*))?(/.*|)", re.DOTALL | re.IGNORECASE)
_A_TOKEN = "Bearer token"  # noqa: S105 - stands for one whose state is given
_ID = "0" * DECISION_ID_LENGTH


class Url(NamedTuple):
    """Host, empty where none is said, and request target: cut out as they stand, as octets read as Latin-1."""

    host: str
    target: str


def read_url(text: str) -> Url:
    """Cut a URL, or a target that begins with a slash.

    Raises:
        ValueError: when it is neither; the message says what to write.
    """
    found = _URL.fullmatch(text.encode().decode("latin-1"))
    if found is None or (not found[1] and not found[2]):
        raise ValueError("write a URL such as https://api.example.com/orders/1, or a path that starts with /")
    return Url(found[1] or "", found[2].partition("#")[0] or "/")


def question(method: str, url: Url, *, with_token: bool, preflight: str = "") -> AuthRequest:
    """The question of a gateway about a request, with a bearer token or without credentials."""
    authorization = (_A_TOKEN,) if with_token else ()
    return AuthRequest(
        door="policy", method=method, target=url.target, host=url.host, authorization=authorization, preflight=preflight
    )


def ask(snapshot: Snapshot, request: AuthRequest, state: TokenState | None, now: float) -> Checked:
    """What the engine answers when the token is in that state; `now` in seconds since the epoch.

    A state is needed as soon as the request has a token that some rule looks at: without one the answer is `internal`.
    """
    authorizer = Authorizer(
        policy=snapshot,
        resolver=_Known(state),
        observer=Observers(),
        wall=lambda: now,
        monotonic=lambda: 0.0,
        decision_ids=lambda: _ID,
    )
    checking = authorizer.examine(request)
    try:
        checking.send(None)
    except StopIteration as answer:
        checked: Checked = answer.value
        return checked
    raise AssertionError("a state that is known was waited for")


class _Known:
    """Knows every token, without asking."""

    def __init__(self, state: TokenState | None) -> None:
        self._state = state

    def known(self, _server: str, _token: Token, _max_age: float | None) -> Resolution | None:
        """The state, as if just asked for."""
        if self._state is None:
            return None
        return Resolution(state=self._state, level="memory", fresh_until=float("inf"), asked_at=0.0)

    async def resolve(self, _server: str, _token: Token, _terms: Terms) -> Resolution:
        """Nobody is asked."""
        raise LookupError
