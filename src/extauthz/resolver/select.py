"""Which of several authorization servers a token belongs to, by the token alone.

A token is shown to one server: trying one after the other would hand it to servers that did not issue it. What a JWT
says about its issuer is not verified here; it only picks one of the servers that the route allows.

1. prefix   the server whose tokens begin like this one; the longest prefix wins
2. issuer   a JWT: the server that it names as its issuer
3. opaque   no JWT, and no known prefix: the one server whose tokens are opaque and unmarked
"""

from collections.abc import Mapping
from dataclasses import dataclass

from extauthz.core.jws import is_jws, unverified_issuer
from extauthz.core.token import Token


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What tells the tokens of one server from those of others.

    Attributes:
        prefix: what they begin with.
        issuer: the `iss` of those that are JWTs.
        opaque: whether they are no JWTs.
    """

    prefix: str = ""
    issuer: str = ""
    opaque: bool = False


class Selector:
    """Chooses among servers whose names stand in one text, separated by spaces."""

    def __init__(self, marks: Mapping[str, Marks]) -> None:
        self._marks = marks
        self._groups: dict[str, _Group] = {}

    def choose(self, names: str, token: Token) -> str:
        """The name of the one server that the token belongs to; empty when it belongs to none of them."""
        group = self._groups.get(names)
        if group is None:
            group = self._groups[names] = _Group({name: self._marks[name] for name in names.split(" ")})
        return group.choose(token.reveal())


class _Group:
    def __init__(self, marks: Mapping[str, Marks]) -> None:
        prefixed = {one.prefix: name for name, one in marks.items() if one.prefix}
        self._prefixed = sorted(prefixed.items(), key=lambda entry: len(entry[0]), reverse=True)
        self._issuers = {one.issuer: name for name, one in marks.items() if one.issuer and not one.opaque}
        unmarked = (name for name, one in marks.items() if one.opaque and not one.prefix)
        self._opaque = next(unmarked, "")

    def choose(self, text: str) -> str:
        for prefix, name in self._prefixed:
            if text.startswith(prefix):
                return name
        issuer = unverified_issuer(text)
        if issuer is not None:
            return self._issuers.get(issuer, "")
        return "" if is_jws(text) else self._opaque
