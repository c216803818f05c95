"""What the authorization server decides: who calls, what it is given, what a token means to it.

Decisions are values; HTTP and JSON come later, in ``asgi``.
"""

from __future__ import annotations

import asyncio
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from extauthz.authserver.authenticator import Authenticator
from extauthz.authserver.client_auth import SecretVerifier
from extauthz.authserver.errors import ErrorCode, OAuthError, ReuseError
from extauthz.authserver.grants import Grants
from extauthz.authserver.meaning import meaning
from extauthz.authserver.metadata import checked_issuer, describe
from extauthz.authserver.store.base import TokenKind, token_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from extauthz.authserver.client_auth import Credentials
    from extauthz.authserver.grants import Issued, TokenRequest
    from extauthz.authserver.meaning import Active, Inactive
    from extauthz.authserver.metadata import Metadata
    from extauthz.authserver.signing import SigningKeys
    from extauthz.authserver.store.base import ClientRecord, Store, TokenRecord

MAX_BATCH: Final = 256
"""Tokens of one batch introspection."""


class Revocation(StrEnum):
    """What a revocation request did. The caller is not told (RFC 7009 §2.2)."""

    REVOKED = "revoked"
    UNKNOWN = "unknown"
    OTHER_CLIENT = "other_client"


class Service:
    """The authorization server without HTTP. Every method that asks the store may raise ``StoreError``."""

    def __init__(
        self,
        store: Store,
        issuer: str,
        wall_clock: Callable[[], float],
        *,
        verifier: SecretVerifier | None = None,
        signing: SigningKeys | None = None,
        on_revoked: Callable[[], None] = lambda: None,
    ) -> None:
        """Raise ``ValueError`` if the issuer is not an http(s) URL without query and fragment (RFC 8414 §2).

        ``on_revoked`` is called whenever the store has a new notice of revocation.
        """
        self._store = store
        self._issuer = checked_issuer(issuer)
        self._wall_clock = wall_clock
        self._on_revoked = on_revoked
        self._signing = signing
        verifier = SecretVerifier() if verifier is None else verifier
        self._authenticator = Authenticator(store, issuer, wall_clock, verifier=verifier)
        self._grants = Grants(store, issuer, wall_clock, signing=signing)

    async def authenticate(self, credentials: Credentials) -> ClientRecord:
        """Return the client that the credentials prove; raise ``invalid_client`` if they prove none."""
        return await self._authenticator.authenticate(credentials)

    async def issue(self, client: ClientRecord, request: TokenRequest) -> Issued:
        """Issue a token as ``Grants.issue`` says."""
        try:
            return await self._grants.issue(client, request)
        except ReuseError:
            self._on_revoked()
            raise

    async def introspect(self, caller: ClientRecord, token: str) -> Active | Inactive:
        """Tell what the token means to this caller at this moment (RFC 7662 §2)."""
        record = await self._store.find_token(token_digest(token))
        return meaning(record, caller, issuer=self._issuer, now=self._wall_clock())

    @property
    def signs(self) -> bool:
        """Whether there are keys to sign with."""
        return self._signing is not None

    async def sign_answer(self, caller: ClientRecord, members: Mapping[str, Any]) -> str | None:
        """Return an introspection answer as a JWT for this caller alone (RFC 9701 §5); ``None`` without signing keys."""
        if self._signing is None:
            return None
        claims = {"iss": self._issuer, "aud": caller.client_id, "iat": int(self._wall_clock())}
        return await self._signing.sign({**claims, "token_introspection": members}, "token-introspection+jwt")

    async def introspect_each(self, caller: ClientRecord, tokens: Sequence[str]) -> list[Active | Inactive]:
        """Tell the same of several tokens, in their order. Raises ``OAuthError`` for a caller that may not ask so."""
        if not caller.can_introspect:
            raise OAuthError(ErrorCode.UNAUTHORIZED_CLIENT, "The client is not a resource server")
        if len(tokens) > MAX_BATCH:
            raise OAuthError(ErrorCode.INVALID_REQUEST, f"More than {MAX_BATCH} tokens")
        return await asyncio.gather(*(self.introspect(caller, token) for token in tokens))

    async def revoke(
        self, caller: ClientRecord, token: str, *, found: Callable[[TokenRecord], None] | None = None
    ) -> Revocation:
        """Revoke the token if it is the caller's own (RFC 7009 §2.1), with a refresh token its whole family.

        What is revoked is inactive everywhere when this returns. ``found`` is told the token, whoever's it is.
        """
        digest = token_digest(token)
        record = await self._store.find_token(digest)
        if record is None:
            return Revocation.UNKNOWN
        if found is not None:
            found(record)
        if record.client_id != caller.client_id:
            return Revocation.OTHER_CLIENT
        revoked_at = int(self._wall_clock())
        if record.kind is TokenKind.REFRESH and record.family is not None:
            await self._store.revoke_tokens(family=record.family, revoked_at=revoked_at)
        else:
            await self._store.revoke_token(digest, revoked_at=revoked_at)
        self._on_revoked()
        return Revocation.REVOKED

    def metadata(self, *, mutual_tls: bool = False) -> Metadata:
        """Describe the server (RFC 8414 §2); ``mutual_tls`` if its listener verifies client certificates."""
        signs_with = None if self._signing is None else self._signing.algorithm
        return describe(self._issuer, signs_with=signs_with, mutual_tls=mutual_tls)

    def jwks(self) -> dict[str, Any] | None:
        """Return the keys that JWT access tokens are signed with, ``None`` if there are none."""
        return None if self._signing is None else self._signing.jwks()
