"""What the authorization server decides: who calls, what it is given, what a token means to it.

Decisions are values; HTTP and JSON come later, in ``asgi``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from extauthz.authserver.admin import issue_token
from extauthz.authserver.client_auth import SecretVerifier
from extauthz.authserver.errors import ErrorCode, OAuthError
from extauthz.authserver.store.base import ALL_AUDIENCES, token_digest
from extauthz.core.scopes import parse_scope

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from extauthz.authserver.client_auth import Presented
    from extauthz.authserver.store.base import ClientRecord, Store, TokenRecord

TOKEN_TTL_SECONDS: Final = 3600
"""The lifetime of a token from the token endpoint."""

TOKEN_PATH: Final = "/oauth2/token"  # noqa: S105 - a path
INTROSPECTION_PATH: Final = "/oauth2/introspect"
REVOCATION_PATH: Final = "/oauth2/revoke"

CLIENT_CREDENTIALS: Final = "client_credentials"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A request for a token (RFC 6749 §4.4.2), with the audiences it names (RFC 8707 §2)."""

    grant_type: str | None = None
    scope: str | None = None
    audience: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A new access token (RFC 6749 §5.1)."""

    access_token: str = field(repr=False)
    expires_in_seconds: int
    scope: tuple[str, ...]


class Why(StrEnum):
    """Why a token is shown as inactive. For the server's own log: the caller must not be told (RFC 7662 §2.2)."""

    UNKNOWN = "unknown"
    NOT_FOR_CALLER = "not_for_caller"
    REVOKED = "revoked"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inactive:
    """The token means nothing to this caller now."""

    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """What the token means to this caller now (RFC 7662 §2.2). Times are whole seconds since the epoch."""

    client_id: str
    iss: str
    jti: str
    iat: int
    exp: int
    nbf: int | None
    sub: str | None
    username: str | None
    scope: tuple[str, ...]
    aud: tuple[str, ...]


class Revocation(StrEnum):
    """What a revocation request did. The caller is not told (RFC 7009 §2.2)."""

    REVOKED = "revoked"
    UNKNOWN = "unknown"
    OTHER_CLIENT = "other_client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The server's description of itself; the fields are the members of RFC 8414 §2.

    ``response_types_supported`` is left out: there is no authorization endpoint, and empty members are omitted (§3.2).
    """

    issuer: str
    token_endpoint: str
    introspection_endpoint: str
    revocation_endpoint: str
    grant_types_supported: tuple[str, ...] = (CLIENT_CREDENTIALS,)
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic", "client_secret_post")
    introspection_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic", "client_secret_post")
    revocation_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic", "client_secret_post")


class Service:
    """The authorization server without HTTP. Every method that asks the store may raise ``StoreError``."""

    def __init__(
        self,
        store: Store,
        issuer: str,
        wall_clock: Callable[[], float],
        *,
        verifier: SecretVerifier | None = None,
        on_revoked: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Raise ``ValueError`` if the issuer is not an http(s) URL without query and fragment (RFC 8414 §2).

        ``on_revoked`` is told the ``jti`` of each token that was revoked, once the store has it.
        """
        self._store = store
        self._issuer = _checked_issuer(issuer)
        self._wall_clock = wall_clock
        self._verifier = SecretVerifier() if verifier is None else verifier
        self._on_revoked = on_revoked

    async def authenticate(self, readings: Sequence[Presented]) -> ClientRecord:
        """Return the client that one of the readings proves; raise ``invalid_client`` if none does."""
        for reading in readings:
            client = await self._store.find_client(reading.client_id)
            secret_hash = None if client is None else client.secret_hash
            if await self._verifier.matches(reading.secret, secret_hash) and client is not None:
                return client
        raise OAuthError(ErrorCode.INVALID_CLIENT, "Client authentication failed")

    async def issue(self, client: ClientRecord, request: TokenRequest) -> Issued:
        """Issue a token to the client itself (RFC 6749 §4.4), without ``sub``: no user stands behind it (RFC 9700).

        What the request leaves open is all that the client is registered for; what it names must be part of that.
        Raises ``OAuthError``.
        """
        if request.grant_type is None:
            raise OAuthError(ErrorCode.INVALID_REQUEST, "grant_type is missing")
        if request.grant_type != CLIENT_CREDENTIALS:
            raise OAuthError(ErrorCode.UNSUPPORTED_GRANT_TYPE, "Only client_credentials is supported")
        scope = _granted_scope(client, request.scope)
        token, _ = await issue_token(
            self._store,
            client_id=client.client_id,
            scope=scope,
            audience=_granted_audience(client, request.audience),
            ttl_seconds=TOKEN_TTL_SECONDS,
            now=self._wall_clock(),
        )
        return Issued(access_token=token, expires_in_seconds=TOKEN_TTL_SECONDS, scope=scope)

    async def introspect(self, caller: ClientRecord, token: str) -> Active | Inactive:
        """Tell what the token means to this caller at this moment (RFC 7662 §2)."""
        record = await self._store.find_token(token_digest(token))
        if record is None:
            return Inactive(why=Why.UNKNOWN)
        why = _why_inactive(record, caller, self._wall_clock())
        if why is not None:
            return Inactive(why=why)
        return self._meaning(record, caller)

    async def revoke(self, caller: ClientRecord, token: str) -> Revocation:
        """Revoke the token if it is the caller's own (RFC 7009 §2.1); it is inactive everywhere when this returns."""
        digest = token_digest(token)
        record = await self._store.find_token(digest)
        if record is None:
            return Revocation.UNKNOWN
        if record.client_id != caller.client_id:
            return Revocation.OTHER_CLIENT
        await self._store.revoke_token(digest, revoked_at=int(self._wall_clock()))
        self._on_revoked(record.jti)
        return Revocation.REVOKED

    def metadata(self) -> Metadata:
        """Describe the server (RFC 8414 §2); the issuer is exactly the configured one."""
        base = self._issuer.rstrip("/")
        return Metadata(
            issuer=self._issuer,
            token_endpoint=base + TOKEN_PATH,
            introspection_endpoint=base + INTROSPECTION_PATH,
            revocation_endpoint=base + REVOCATION_PATH,
        )

    def _meaning(self, record: TokenRecord, caller: ClientRecord) -> Active:
        return Active(
            client_id=record.client_id,
            iss=self._issuer,
            jti=record.jti,
            iat=record.issued_at,
            exp=record.expires_at,
            nbf=record.not_before,
            sub=record.sub,
            username=record.username,
            scope=_shown_scope(record, caller),
            aud=record.audience,
        )


def _checked_issuer(issuer: str) -> str:
    parts = urlsplit(issuer)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "?" in issuer or "#" in issuer:
        raise ValueError("an issuer is an http or https URL without query and fragment")
    return issuer


def _why_inactive(record: TokenRecord, caller: ClientRecord, now: float) -> Why | None:
    if not _is_visible(record, caller):
        return Why.NOT_FOR_CALLER
    if record.revoked_at is not None:
        return Why.REVOKED
    if record.expires_at <= now:
        return Why.EXPIRED
    if record.not_before is not None and record.not_before > now:
        return Why.NOT_YET_VALID
    return None


def _is_visible(record: TokenRecord, caller: ClientRecord) -> bool:
    if not caller.can_introspect:
        return record.client_id == caller.client_id
    return ALL_AUDIENCES in caller.audiences or not set(record.audience).isdisjoint(caller.audiences)


def _shown_scope(record: TokenRecord, caller: ClientRecord) -> tuple[str, ...]:
    if not (caller.can_introspect and caller.scopes):
        return record.scope
    return tuple(token for token in record.scope if token in caller.scopes)


def _granted_scope(client: ClientRecord, requested: str | None) -> tuple[str, ...]:
    if requested is None:
        return client.scopes
    try:
        scope = parse_scope(requested)
    except ValueError:
        raise OAuthError(ErrorCode.INVALID_SCOPE, "The scope is malformed") from None
    if not set(scope) <= set(client.scopes):
        raise OAuthError(ErrorCode.INVALID_SCOPE, "The scope exceeds what the client may ask for")
    return scope


def _granted_audience(client: ClientRecord, requested: tuple[str, ...]) -> tuple[str, ...]:
    registered = tuple(audience for audience in client.audiences if audience != ALL_AUDIENCES)
    if not set(requested) <= set(registered):
        raise OAuthError(ErrorCode.INVALID_TARGET, "The client may not ask for this audience")
    return requested or registered
