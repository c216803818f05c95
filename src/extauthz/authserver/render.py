"""From decisions to HTTP answers: the only place where the JSON of the authorization server is spelled."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, assert_never

import orjson

from extauthz.authserver.errors import ErrorCode, OAuthError
from extauthz.authserver.meaning import Active, Inactive
from extauthz.authserver.minting import RESERVED_CLAIMS
from extauthz.authserver.store.base import TokenKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from extauthz.authserver.grants import Issued
    from extauthz.authserver.metadata import Metadata

_COMMON_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"pragma", b"no-cache"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole HTTP answer. ``extra`` are headers beyond those that every answer carries."""

    status: int
    body: bytes
    extra: tuple[tuple[bytes, bytes], ...] = ()
    content_type: bytes = b"application/json"

    def headers(self) -> list[tuple[bytes, bytes]]:
        """Return every header; no answer may be stored by anyone (RFC 6749 §5.1, RFC 7662 §2.2)."""
        length = str(len(self.body)).encode()
        return [(b"content-type", self.content_type), *_COMMON_HEADERS, (b"content-length", length), *self.extra]


def issued(token: Issued) -> Answer:
    """RFC 6749 §5.1."""
    members = {
        "access_token": token.access_token,
        "token_type": "Bearer",
        "expires_in": token.expires_in_seconds,
        "refresh_token": token.refresh_token,
        "scope": " ".join(token.scope),
    }
    return _json(200, members)


def introspected(state: Active | Inactive) -> Answer:
    """RFC 7662 §2.2; every inactive token looks the same, to the byte."""
    match state:
        case Inactive():
            return INACTIVE
        case Active():
            return _active(state)
        case _:
            assert_never(state)


def introspected_each(states: Iterable[Active | Inactive]) -> Answer:
    """Each as ``introspected`` would answer, in one list."""
    bodies = b",".join(introspected(state).body for state in states)
    return Answer(status=200, body=b'{"responses":[' + bodies + b"]}")


def signed(jwt: str) -> Answer:
    """RFC 9701 §5."""
    return Answer(status=200, body=jwt.encode(), content_type=b"application/token-introspection+jwt")


def revoked() -> Answer:
    """RFC 7009 §2.2: the same, whether there was anything to revoke or not."""
    return _json(200, {})


def described(metadata: Metadata) -> Answer:
    """RFC 8414 §3.2."""
    return _json(200, asdict(metadata))


def published(jwks: dict[str, Any]) -> Answer:
    """RFC 7517 §5."""
    return _json(200, jwks)


def refused(error: OAuthError, *, realm: str) -> Answer:
    """RFC 6749 §5.2: 401 with a challenge for a client that is not authenticated, else 400."""
    if error.code is not ErrorCode.INVALID_CLIENT:
        return _error(400, error.code, error.description)
    challenge = f'Basic realm="{realm}", charset="UTF-8"'.encode()
    return _error(401, error.code, error.description, (b"www-authenticate", challenge))


def method_not_allowed(allow: bytes) -> Answer:
    """RFC 9110 §15.5.6."""
    return _error(405, ErrorCode.INVALID_REQUEST, "The method is not allowed here", (b"allow", allow))


def too_many(retry_after_seconds: int) -> Answer:
    """RFC 6585 §4."""
    after = (b"retry-after", str(retry_after_seconds).encode())
    return _error(429, "too_many_requests", "Too many requests or failures", after)


def _active(state: Active) -> Answer:
    members = {
        "active": True,
        "scope": " ".join(state.scope),
        "client_id": state.client_id,
        "username": state.username,
        "token_type": _token_type(state),
        "token_use": state.token_use.value,
        "exp": state.exp,
        "iat": state.iat,
        "nbf": state.nbf,
        "sub": state.sub,
        "aud": state.aud,
        "iss": state.iss,
        "jti": state.jti,
    }
    if state.claims:
        members |= {name: value for name, value in state.claims.items() if name not in RESERVED_CLAIMS}
    return _json(200, members)


def _token_type(state: Active) -> str | None:
    """A refresh token is not presented to any resource; one bound to a key is of type DPoP (RFC 9449 §6.2)."""
    if state.token_use is TokenKind.REFRESH:
        return None
    confirmation = state.claims.get("cnf")
    return "DPoP" if isinstance(confirmation, dict) and "jkt" in confirmation else "Bearer"


def _error(status: int, code: str, description: str, *extra: tuple[bytes, bytes]) -> Answer:
    return _json(status, {"error": code, "error_description": description}, *extra)


def _json(status: int, members: dict[str, object], *extra: tuple[bytes, bytes]) -> Answer:
    told = {name: value for name, value in members.items() if value or value == 0}  # nothing empty
    return Answer(status=status, body=orjson.dumps(told), extra=extra)


ALIVE: Final = _json(200, {"status": "ok"})
INACTIVE: Final = _json(200, {"active": False})
NOT_FOUND: Final = _error(404, ErrorCode.INVALID_REQUEST, "There is nothing here")
TOO_LARGE: Final = _error(413, ErrorCode.INVALID_REQUEST, "The body is too large")
SERVER_ERROR: Final = _json(500, {"error": "server_error"})
UNAVAILABLE: Final = _json(503, {"error": "temporarily_unavailable"}, (b"retry-after", b"1"))
