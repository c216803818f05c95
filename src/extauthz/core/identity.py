"""Identity headers for the upstream: every configured name is set or removed on every allow, so no client can forge one.

A header carries one claim, named or by path (`realm_access.roles`). A claim that the token lacks is removed, never sent
empty and never filled from another one. A value that cannot be sent as it is, and that no option says how to write, is
not sent in part: the request is refused.
"""

import itertools
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from extauthz.core.introspection import Active

MAX_IDENTITY_BYTES = 3500
"""All names and values together, names without a value too. NGINX refuses larger response heads by default; a cut value
would be a lie."""

TOKEN_CLAIMS = ("sub", "scope", "client_id", "username", "iss", "jti")
"""Claims that RFC 7662 §2.2 defines as text; all others are looked up in the rest of the answer."""

TOKEN_KIND = "token_kind"  # noqa: S105 - a name, not a password
"""No claim of the token, but ours about it: `user` or `client`."""

HEADER_NAME = re.compile(r"[a-z0-9]{1,32}(-[a-z0-9]{1,32}){0,4}")
RESERVED_HEADERS = re.compile(
    r"host|connection|content-.*|transfer-encoding|te|trailer|upgrade|keep-alive|proxy-.*|grpc-.*|authorization|cookie|"
    r"x-authz-.*|x-original-.*|x-forwarded-.*|x-envoy-.*|x-accel-.*|x-http-method.*|x-method-override|x-rewrite-url|"
    r"x-request-id|forwarded|set-cookie|cache-control|expires|vary|date|server|location|www-authenticate|retry-after"
)
_FORWARDABLE = re.compile(r"[\x21-\x7E](?:[\x20-\x7E]*[\x21-\x7E])?")
_UNESCAPED = frozenset(range(0x20, 0x7F)) - frozenset(b"%")
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

Headers = tuple[tuple[str, str], ...]
Forwarded = tuple[Headers, tuple[str, ...]]
"""Headers to set, and names to remove."""


class ListStyle(StrEnum):
    """How a list of values becomes one header value."""

    SPACE = "space"
    COMMA = "comma"
    JSON = "json"


class NonAscii(StrEnum):
    """How a value is written that ASCII alone cannot hold.

    `PERCENT` encodes every `%` and everything outside ASCII as UTF-8; `BASE64URL` encodes every value whole. Both can
    be undone without a doubt, because they do not depend on the value.
    """

    REJECT = "reject"
    PERCENT = "percent"
    BASE64URL = "base64url"


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityHeader:
    """One header: its name, the claim that it carries, and how the claim is written."""

    name: str
    claim: str
    lists: ListStyle = ListStyle.SPACE
    non_ascii: NonAscii = NonAscii.REJECT

    def value(self, token: Active) -> str | None:
        """The header's value, or None when the token has no such claim.

        Raises:
            ValueError: when the claim cannot be forwarded.
        """
        found = claim_of(token, self.claim)
        text = found if isinstance(found, str) else _as_text(found, self.lists)
        if not text:
            return None
        if self.non_ascii is not NonAscii.REJECT:
            text = _encoded(text, self.non_ascii)
        if _FORWARDABLE.fullmatch(text) is None:
            raise ValueError(f"the claim {self.claim} does not fit into a header")
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityHeaders:
    """What the upstream learns. `forward_token` false also takes the token itself away from it."""

    headers: tuple[IdentityHeader, ...] = ()
    forward_token: bool = True

    @classmethod
    def of(cls, claims: Mapping[str, str]) -> "IdentityHeaders":
        """Headers that carry plain claims, by header name."""
        return cls(headers=tuple(IdentityHeader(name=name, claim=claim) for name, claim in claims.items()))

    @property
    def names(self) -> tuple[str, ...]:
        """All headers that must not reach the upstream from a client."""
        return (*(header.name for header in self.headers), *self._withheld)

    @property
    def _withheld(self) -> tuple[str, ...]:
        return () if self.forward_token else ("authorization",)

    def forward(self, token: Active) -> Forwarded | None:
        """Headers to set and names to remove; None when a value must not be forwarded.

        A token is used again and again, mostly with the same headers: it remembers those that it was rendered for last.
        """
        remembered = token.rendered
        if isinstance(remembered, _Rendered) and remembered.by is self:
            return remembered.forwarded
        forwarded = self._render(token)
        object.__setattr__(token, "rendered", _Rendered(self, forwarded))
        return forwarded

    def _render(self, token: Active) -> Forwarded | None:
        present: list[tuple[str, str]] = []
        absent: list[str] = []
        size = 0
        for header in self.headers:
            try:
                value = header.value(token)
            except ValueError:
                return None
            size += len(header.name) + len(value or "")
            if value is None:
                absent.append(header.name)
            else:
                present.append((header.name, value))
        return (tuple(present), (*absent, *self._withheld)) if size <= MAX_IDENTITY_BYTES else None


class _Rendered(NamedTuple):
    """What a token's claims became."""

    by: IdentityHeaders
    forwarded: Forwarded | None


NO_IDENTITY = IdentityHeaders()


def token_kind(token: Active) -> str:
    """Whose token it is: a `client` has no subject, or is its own (RFC 9700 §4.15); all others are a `user`'s."""
    return "client" if token.sub in (None, "", token.client_id) else "user"


def claim_of(token: Active, claim: str) -> object:
    """The claim of that name, or at that path; None when the token has none."""
    if claim == TOKEN_KIND:
        return token_kind(token)
    return getattr(token, claim) if claim in TOKEN_CLAIMS else find_claim(token.claims, claim)


def find_claim(claims: Mapping[str, object], path: str) -> object:
    """The member of that name, or the one that the path leads to: `realm_access.roles`. None when there is none."""
    if path in claims:
        return claims[path]
    found: object = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _as_text(value: object, lists: ListStyle) -> str | None:
    """One text for a claim of any JSON type.

    Raises:
        ValueError: for an object where no JSON is asked for, and for a list whose parts would run together.
    """
    if value is None:
        return None
    if lists is ListStyle.JSON:
        return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    if not isinstance(value, list | tuple):
        return _scalar(value)
    separator = " " if lists is ListStyle.SPACE else ","
    words = [_scalar(one) for one in value]
    if any(separator in word or not word for word in words):
        raise ValueError("a value of the list contains the separator")
    return separator.join(words)


def _scalar(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise ValueError("an object is forwarded as JSON only")


def _encoded(text: str, non_ascii: NonAscii) -> str:
    if _CONTROLS.search(text):
        raise ValueError("a control character is never forwarded")
    if non_ascii is NonAscii.PERCENT:
        return "".join(chr(octet) if octet in _UNESCAPED else f"%{octet:02X}" for octet in text.encode())
    return urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def check_header_name(name: str) -> str:
    """Return the name unchanged.

    Raises:
        ValueError: when it is not a lower-case header name, or one that a proxy acts upon.
    """
    if HEADER_NAME.fullmatch(name) is None:
        raise ValueError(
            "an identity header is lower-case letters and digits with up to four single hyphens, such as x-auth-sub"
        )
    if RESERVED_HEADERS.fullmatch(name) is not None:
        raise ValueError(f"{name} has a meaning of its own for gateways and cannot carry identity")
    return name


def twins(name: str) -> list[str]:
    """Spellings that servers fold into the same variable, the name itself among them: `x_auth_sub`, `x.auth-sub`."""
    first, *rest = name.split("-")
    joints = itertools.product("-_.", repeat=len(rest))
    return [first + "".join(map("".join, zip(joint, rest, strict=True))) for joint in joints]


FAILURE_MODE_HEADER = "x-envoy-auth-failure-mode-allowed"
"""Envoy sets it when it lets a request pass without us; a client must not be able to."""


def removals(present: Iterable[str], absent: Iterable[str]) -> tuple[str, ...]:
    """What Envoy shall take out of a request that passes with these identity headers and without those: twins too."""
    return _removals(tuple(present), tuple(absent))


@lru_cache(maxsize=1024)
def _removals(kept: tuple[str, ...], gone: tuple[str, ...]) -> tuple[str, ...]:
    """Names come from the policy alone, so there are few of these."""
    spellings = {twin for name in (*kept, *gone) for twin in twins(name)}
    return (*gone, *sorted(spellings.difference(kept, gone)), FAILURE_MODE_HEADER)
