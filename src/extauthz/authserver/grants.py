"""What the token endpoint gives: client credentials (RFC 6749 §4.4) and refresh (§6), with rotation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NoReturn

from extauthz.authserver.errors import INVALID_GRANT, ErrorCode, MisconfiguredError, OAuthError, ReuseError
from extauthz.authserver.meaning import why_unusable
from extauthz.authserver.minting import Grant, mint
from extauthz.authserver.store.base import ALL_AUDIENCES, TokenKind, token_digest
from extauthz.core.scopes import parse_scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.authserver.certificate import Certificate
    from extauthz.authserver.signing import SigningKeys
    from extauthz.authserver.store.base import ClientRecord, Store, TokenRecord

TOKEN_TTL_SECONDS: Final = 3600
"""The lifetime of an access token from the token endpoint."""

CLIENT_CREDENTIALS: Final = "client_credentials"
REFRESH_TOKEN: Final = "refresh_token"  # noqa: S105 - a grant type
GRANT_TYPES: Final = (CLIENT_CREDENTIALS, REFRESH_TOKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A request for a token, with the audiences it names (RFC 8707 §2)."""

    grant_type: str | None = None
    scope: str | None = None
    audience: tuple[str, ...] = ()
    refresh_token: str | None = field(default=None, repr=False)
    certificate: Certificate | None = None
    """What the client showed on its connection; tokens may be bound to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A new access token (RFC 6749 §5.1), after a refresh with the refresh token that takes the place of the old."""

    access_token: str = field(repr=False)
    expires_in_seconds: int
    scope: tuple[str, ...]
    refresh_token: str | None = field(default=None, repr=False)
    jti: str = ""
    """The name of the access token, for the record."""
    sub: str | None = None


class Grants:
    """Issues tokens to authenticated clients."""

    def __init__(
        self, store: Store, issuer: str, wall_clock: Callable[[], float], *, signing: SigningKeys | None = None
    ) -> None:
        self._store = store
        self._issuer = issuer
        self._wall_clock = wall_clock
        self._signing = signing

    async def issue(self, client: ClientRecord, request: TokenRequest) -> Issued:
        """Issue what the client asks for, as far as it is registered for it.

        Raises ``OAuthError`` for a request that is refused, ``StoreError`` if the storage fails, and
        ``MisconfiguredError`` for a client whose tokens are JWTs where no key is configured.
        """
        if request.grant_type is None:
            raise OAuthError(ErrorCode.INVALID_REQUEST, "grant_type is missing")
        if request.grant_type not in GRANT_TYPES:
            raise OAuthError(ErrorCode.UNSUPPORTED_GRANT_TYPE, f"Supported are {' and '.join(GRANT_TYPES)}")
        if request.grant_type not in client.grants:
            raise OAuthError(ErrorCode.UNAUTHORIZED_CLIENT, "The client may not use this grant type")
        if request.grant_type == REFRESH_TOKEN:
            return await self._refresh(client, request)
        return await self._client_credentials(client, request)

    async def _client_credentials(self, client: ClientRecord, request: TokenRequest) -> Issued:
        """Issue a token without ``sub``: no user stands behind it (RFC 9700).

        What the request leaves open is all that the client is registered for.
        """
        registered = tuple(audience for audience in client.audiences if audience != ALL_AUDIENCES)
        grant = Grant(
            client_id=client.client_id,
            scope=_part_of_scope(client.scopes, request.scope),
            audience=_part_of_audience(registered, request.audience),
        )
        grant = _bound(grant, client, request.certificate)
        token, record = await self._access_token(client, grant, self._wall_clock(), TOKEN_TTL_SECONDS)
        await self._store.add_tokens(record)
        return Issued(
            access_token=token, expires_in_seconds=TOKEN_TTL_SECONDS, scope=record.scope, jti=record.jti, sub=record.sub
        )

    async def _refresh(self, client: ClientRecord, request: TokenRequest) -> Issued:
        """Exchange a refresh token, once: the answer has the next one.

        No token of a family outlives its first refresh token, so a family ends by itself. A token that comes a second
        time has been copied, and nobody can tell by whom: the family ends then and there (RFC 9700 §4.14.2).
        """
        now = self._wall_clock()
        old = await self._refreshable(client, request.refresh_token, now)
        next_grant = _grant_of(old)
        narrowed = replace(
            next_grant,
            scope=_part_of_scope(old.scope, request.scope),
            audience=_part_of_audience(old.audience, request.audience),
        )
        narrowed = _bound(narrowed, client, request.certificate)
        left = old.expires_at - int(now)
        ttl_seconds = min(TOKEN_TTL_SECONDS, left)
        access, access_record = await self._access_token(client, narrowed, now, ttl_seconds)
        refresh, refresh_record = mint(next_grant, kind=TokenKind.REFRESH, now=now, ttl_seconds=left)
        if not await self._store.exchange(old.digest, used_at=int(now), successors=(access_record, refresh_record)):
            await self._end_family(old, now)
        return Issued(
            access_token=access,
            expires_in_seconds=ttl_seconds,
            scope=access_record.scope,
            refresh_token=refresh,
            jti=access_record.jti,
            sub=access_record.sub,
        )

    async def _refreshable(self, client: ClientRecord, token: str | None, now: float) -> TokenRecord:
        if token is None:
            raise OAuthError(ErrorCode.INVALID_REQUEST, "refresh_token is missing")
        record = await self._store.find_token(token_digest(token))
        if record is None or record.kind is not TokenKind.REFRESH or record.client_id != client.client_id:
            raise OAuthError(ErrorCode.INVALID_GRANT, INVALID_GRANT)
        if record.used_at is not None:
            await self._end_family(record, now)
        if why_unusable(record, now) is not None:
            raise OAuthError(ErrorCode.INVALID_GRANT, INVALID_GRANT)
        return record

    async def _end_family(self, record: TokenRecord, now: float) -> NoReturn:
        if record.family is None:
            raise OAuthError(ErrorCode.INVALID_GRANT, INVALID_GRANT)
        await self._store.revoke_tokens(family=record.family, revoked_at=int(now))
        raise ReuseError(record.family)

    async def _access_token(
        self, client: ClientRecord, grant: Grant, now: float, ttl_seconds: int
    ) -> tuple[str, TokenRecord]:
        token, record = mint(grant, now=now, ttl_seconds=ttl_seconds)
        if not client.jwt_access_tokens:
            return token, record
        if self._signing is None:
            raise MisconfiguredError(f"the tokens of client {client.client_id!r} are JWTs: configure a signing key")
        if not record.audience:
            raise OAuthError(ErrorCode.INVALID_TARGET, "A JWT access token needs an audience")
        return await self._signing.as_jwt(record, self._issuer)


def _bound(grant: Grant, client: ClientRecord, certificate: Certificate | None) -> Grant:
    """The grant for whoever has the key of this certificate (RFC 8705 §3), if the client's tokens are to be so."""
    if not client.certificate_bound_tokens:
        return grant
    if certificate is None:
        raise OAuthError(
            ErrorCode.INVALID_REQUEST, "The client's tokens are bound to a certificate, and it showed none"
        )
    known = grant.claims.get("cnf")
    confirmation = {**(known if isinstance(known, dict) else {}), "x5t#S256": certificate.thumbprint}
    return replace(grant, claims={**grant.claims, "cnf": confirmation})


def _grant_of(record: TokenRecord) -> Grant:
    return Grant(
        client_id=record.client_id,
        sub=record.sub,
        username=record.username,
        scope=record.scope,
        audience=record.audience,
        claims=record.claims,
        family=record.family,
    )


def _part_of_scope(allowed: tuple[str, ...], requested: str | None) -> tuple[str, ...]:
    if requested is None:
        return allowed
    try:
        scope = parse_scope(requested)
    except ValueError:
        raise OAuthError(ErrorCode.INVALID_SCOPE, "The scope is malformed") from None
    if not set(scope) <= set(allowed):
        raise OAuthError(ErrorCode.INVALID_SCOPE, "The scope exceeds what the client may ask for")
    return scope


def _part_of_audience(allowed: tuple[str, ...], requested: tuple[str, ...]) -> tuple[str, ...]:
    if not set(requested) <= set(allowed):
        raise OAuthError(ErrorCode.INVALID_TARGET, "The client may not ask for this audience")
    return requested or allowed
