"""Making tokens: random ones, and what is recorded of them. Nothing is stored here."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import orjson

from extauthz.authserver.store.base import ALL_AUDIENCES, NO_CLAIMS, TokenKind, TokenRecord, token_digest
from extauthz.core.scopes import parse_scope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_TTL_SECONDS: Final = 10 * 365 * 86_400
"""Ten years: what is longer is a slip of the pen."""

RESERVED_CLAIMS: Final = frozenset(
    {
        "active",
        "aud",
        "client_id",
        "exp",
        "iat",
        "iss",
        "jti",
        "nbf",
        "scope",
        "sub",
        "token_type",
        "token_use",
        "username",
    }
)
"""What the server itself says about a token (RFC 7662 §2.2); no claim of a token may take their place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a token stands for: whose it is, for whom and for what.

    Raises ``ValueError`` for what no token can have.
    """

    client_id: str
    sub: str | None = None
    username: str | None = None
    scope: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    claims: Mapping[str, Any] = field(default_factory=lambda: NO_CLAIMS, repr=False)
    family: str | None = None

    def __post_init__(self) -> None:
        """Check every member."""
        if "" in self.audience or ALL_AUDIENCES in self.audience:
            raise ValueError("a token is for named audiences, not for an empty one or for all")
        if self.client_id == "" or self.sub == "":
            raise ValueError("a client id or a subject is not empty")
        if taken := sorted(RESERVED_CLAIMS & set(self.claims)):
            raise ValueError(f"these claims are the server's own: {', '.join(taken)}")
        if "" in self.claims:
            raise ValueError("the name of a claim is not empty")
        _check_json(self.claims)


def _check_json(claims: Mapping[str, Any]) -> None:
    """By whoever writes the answers: it knows no half of a surrogate pair, no deep nesting and no number of 65 bits."""
    try:
        orjson.dumps(claims)
    except TypeError as error:
        raise ValueError(f"a claim is not JSON that an answer can hold: {error}") from error


def checked_scope(scope: Sequence[str]) -> tuple[str, ...]:
    """Return the scope without duplicates; raise ``ValueError`` for what is no scope (RFC 6749 §3.3)."""
    return parse_scope(" ".join(scope)) if scope else ()


def mint(
    grant: Grant,
    *,
    kind: TokenKind = TokenKind.ACCESS,
    now: float,
    ttl_seconds: int,
    not_before: int | None = None,
) -> tuple[str, TokenRecord]:
    """Return an opaque token of 256 random bits and its record, which holds only the digest.

    A refresh token always has a family, a new one where the grant names none. Raises ``ValueError`` for a lifetime that
    a token cannot have, and for one that is over before it begins.
    """
    if not 0 < ttl_seconds <= MAX_TTL_SECONDS:
        raise ValueError(f"the lifetime of a token is 1 to {MAX_TTL_SECONDS} seconds")
    if not_before is not None and not_before >= int(now) + ttl_seconds:
        raise ValueError("the token would expire before it is good")
    token = secrets.token_urlsafe(32)
    family = secrets.token_urlsafe(16) if grant.family is None and kind is TokenKind.REFRESH else grant.family
    record = TokenRecord(
        digest=token_digest(token),
        jti=secrets.token_urlsafe(16),
        client_id=grant.client_id,
        kind=kind,
        sub=grant.sub,
        username=grant.username,
        scope=grant.scope,
        audience=grant.audience,
        issued_at=int(now),
        not_before=not_before,
        expires_at=int(now) + ttl_seconds,
        family=family,
        claims=grant.claims,
    )
    return token, record
