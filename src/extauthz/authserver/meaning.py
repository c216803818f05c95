"""What a token means to a caller at a moment (RFC 7662 §2.2). Pure: the record, the caller and the time are arguments."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from extauthz.authserver.store.base import ALL_AUDIENCES, NO_CLAIMS, TokenKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from extauthz.authserver.store.base import ClientRecord, TokenRecord


class Why(StrEnum):
    """Why a token is shown as inactive. For the server's own log: the caller must not be told (RFC 7662 §2.2)."""

    UNKNOWN = "unknown"
    NOT_FOR_CALLER = "not_for_caller"
    CLIENT_DISABLED = "client_disabled"
    REVOKED = "revoked"
    USED = "used"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inactive:
    """The token means nothing to this caller now."""

    why: Why
    jti: str | None = field(default=None, compare=False)
    """Of a token that there is; for the server's own record, like ``sub``."""
    sub: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """What the token means to this caller now (RFC 7662 §2.2). Times are whole seconds since the epoch."""

    client_id: str
    iss: str
    jti: str
    iat: int
    exp: int
    nbf: int | None = None
    sub: str | None = None
    username: str | None = None
    scope: tuple[str, ...] = ()
    aud: tuple[str, ...] = ()
    token_use: TokenKind = TokenKind.ACCESS
    claims: Mapping[str, Any] = field(default_factory=lambda: NO_CLAIMS, repr=False)
    """Members beyond those above, such as ``cnf``, ``acr`` or ``authorization_details``."""


def meaning(record: TokenRecord | None, caller: ClientRecord, *, issuer: str, now: float) -> Active | Inactive:
    """Tell what the token is to the caller; a token that passes not every check is inactive."""
    if record is None:
        return Inactive(why=Why.UNKNOWN)
    why = _why_inactive(record, caller, now)
    if why is not None:
        return Inactive(why=why, jti=record.jti, sub=record.sub)
    return Active(
        client_id=record.client_id,
        iss=issuer,
        jti=record.jti,
        iat=record.issued_at,
        exp=record.expires_at,
        nbf=record.not_before,
        sub=record.sub,
        username=record.username,
        scope=_shown_scope(record, caller),
        aud=record.audience,
        token_use=record.kind,
        claims=record.claims,
    )


def why_unusable(record: TokenRecord, now: float) -> Why | None:
    """Tell why nobody may use the token now, by the server's clock and without leeway; ``None`` if it is good."""
    if record.client_disabled:
        return Why.CLIENT_DISABLED
    if record.revoked_at is not None:
        return Why.REVOKED
    if record.used_at is not None:
        return Why.USED
    if record.expires_at <= now:
        return Why.EXPIRED
    if record.not_before is not None and record.not_before > now:
        return Why.NOT_YET_VALID
    return None


def _why_inactive(record: TokenRecord, caller: ClientRecord, now: float) -> Why | None:
    return why_unusable(record, now) if _is_visible(record, caller) else Why.NOT_FOR_CALLER


def _is_visible(record: TokenRecord, caller: ClientRecord) -> bool:
    if record.kind is TokenKind.REFRESH or not caller.can_introspect:
        return record.client_id == caller.client_id
    return ALL_AUDIENCES in caller.audiences or not set(record.audience).isdisjoint(caller.audiences)


def _shown_scope(record: TokenRecord, caller: ClientRecord) -> tuple[str, ...]:
    if not (caller.can_introspect and caller.scopes) or record.kind is TokenKind.REFRESH:
        return record.scope
    return tuple(token for token in record.scope if token in caller.scopes)
