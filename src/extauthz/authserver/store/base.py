"""What the authorization server keeps, and what any place that keeps it must promise."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, Protocol

ALL_AUDIENCES: Final = "*"
"""Registered as an audience of a resource server: it may see the tokens of every audience."""


class StoreError(Exception):
    """The storage cannot answer now. Nothing may be concluded about any client or token."""


class DuplicateClientError(Exception):
    """A client with this id is registered already; the registered one is left as it was."""

    def __init__(self, client_id: str) -> None:
        super().__init__(f"client {client_id!r} is registered already")
        self.client_id = client_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRecord:
    """A registered confidential client (RFC 6749 §2)."""

    client_id: str
    secret_hash: str = field(repr=False)
    """bcrypt, never the secret."""
    can_introspect: bool = False
    """A resource server: it sees the tokens of its audiences, not only its own."""
    audiences: tuple[str, ...] = ()
    """Of a resource server: whose tokens it sees. Of any client: what its own tokens may be for."""
    scopes: tuple[str, ...] = ()
    """Of a resource server: what it is shown, none means everything. Of any client: what it may ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """What is known about one access token. Times are whole seconds since the epoch."""

    digest: bytes = field(repr=False)
    """``token_digest`` of the token; the token itself is kept nowhere."""
    jti: str
    """A random name for the token, of no use as a credential."""
    client_id: str
    sub: str | None = None
    username: str | None = None
    scope: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    issued_at: int
    not_before: int | None = None
    expires_at: int
    revoked_at: int | None = None


def token_digest(token: str) -> bytes:
    """Return the key of a token: plain SHA-256 is enough for 256 random bits."""
    return hashlib.sha256(token.encode()).digest()


class Store(Protocol):
    """Clients and tokens, durable. Every method raises ``StoreError`` if the storage fails, and no foreign error."""

    async def find_client(self, client_id: str) -> ClientRecord | None:
        """Return the client with exactly this id, or ``None`` if there is none."""

    async def add_client(self, client: ClientRecord) -> None:
        """Keep a new client.

        Raises ``DuplicateClientError`` if the id is taken; must not overwrite.
        """

    async def find_token(self, digest: bytes) -> TokenRecord | None:
        """Return the token with this digest, expired and revoked ones too, or ``None``.

        Must see every ``revoke_token`` that has returned, on whichever replica.
        """

    async def add_token(self, token: TokenRecord) -> None:
        """Keep a new token; it is durable when this returns."""

    async def revoke_token(self, digest: bytes, *, revoked_at: int) -> None:
        """Mark the token revoked; durable and visible to all when this returns.

        An unknown token is no error, and the first time of revocation stays.
        """
