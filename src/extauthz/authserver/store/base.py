"""What the authorization server keeps, and what any place that keeps it must promise."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

ALL_AUDIENCES: Final = "*"
"""Registered as an audience of a resource server: it may see the tokens of every audience."""

NO_CLAIMS: Final[Mapping[str, Any]] = {}

NOTICE_SECONDS: Final = 2 * 86_400
"""How long a notice is kept that nobody takes: no cache of ours holds an answer for longer, an outage included."""


class StoreError(Exception):
    """The storage cannot answer now. Nothing may be concluded about any client or token."""


class DuplicateClientError(Exception):
    """A client with this id is registered already; the registered one is left as it was."""

    def __init__(self, client_id: str) -> None:
        super().__init__(f"client {client_id!r} is registered already: `client rotate` gives it a new secret")
        self.client_id = client_id


class AuthMethod(StrEnum):
    """How a client proves who it is; the values of RFC 7591 §2. ``SECRET`` stands for Basic and for the form alike."""

    SECRET = "client_secret"  # noqa: S105 - a word
    PRIVATE_KEY_JWT = "private_key_jwt"
    TLS = "tls_client_auth"
    NONE = "none"


class TokenKind(StrEnum):
    """What a token is for."""

    ACCESS = "access_token"
    REFRESH = "refresh_token"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientRecord:
    """A registered client (RFC 6749 §2). Times are whole seconds since the epoch."""

    client_id: str
    secret_hash: str = field(default="", repr=False)
    """bcrypt, never the secret; empty for a client that has none."""
    can_introspect: bool = False
    """A resource server: it sees the tokens of its audiences, not only its own."""
    audiences: tuple[str, ...] = ()
    """Of a resource server: whose tokens it sees. Of any client: what its own tokens may be for."""
    scopes: tuple[str, ...] = ()
    """Of a resource server: what it is shown, none means everything. Of any client: what it may ask for."""
    disabled_at: int | None = None
    """A disabled client authenticates no longer, and its tokens are inactive."""
    auth_method: AuthMethod = AuthMethod.SECRET
    old_secret_hash: str = field(default="", repr=False)
    """The secret before the last rotation, good until ``old_secret_until``."""
    old_secret_until: int = 0
    keys: str = ""
    """The public keys of a ``private_key_jwt`` client: a JWK Set as JSON text."""
    certificate_subject: str = ""
    """The subject of the certificate of a ``tls_client_auth`` client (RFC 4514)."""
    networks: tuple[str, ...] = ()
    """Where it may call from, in CIDR notation; none means anywhere."""
    grants: tuple[str, ...] = ("client_credentials",)
    """Grant types that it may use."""
    jwt_access_tokens: bool = False
    """Its access tokens are JWTs (RFC 9068) instead of opaque."""
    certificate_bound_tokens: bool = False
    """Its access tokens are good only for whoever has the key of its certificate (RFC 8705 §3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRecord:
    """What is known about one token. Times are whole seconds since the epoch."""

    digest: bytes = field(repr=False)
    """``token_digest`` of the token; the token itself is kept nowhere."""
    jti: str
    """A random name for the token, of no use as a credential."""
    client_id: str
    kind: TokenKind = TokenKind.ACCESS
    sub: str | None = None
    username: str | None = None
    scope: tuple[str, ...] = ()
    audience: tuple[str, ...] = ()
    issued_at: int
    not_before: int | None = None
    expires_at: int
    revoked_at: int | None = None
    family: str | None = None
    """Tokens that descend from one grant share it, and fall together when a refresh token is used twice."""
    used_at: int | None = None
    """When a refresh token was exchanged; it is good for one exchange."""
    claims: Mapping[str, Any] = field(default_factory=lambda: NO_CLAIMS, repr=False)
    """Members of the introspection answer beyond those above, as JSON has them."""
    client_disabled: bool = False
    """Read with the token and not kept with it: whether its client is disabled now."""


class Notice(NamedTuple):
    """What caches are to forget, in the words of whoever takes it: ``kind`` is ``jti``, ``sub`` or ``client_id``."""

    number: int
    """Of no other notice, ever."""
    kind: str
    name: str


def token_digest(token: str) -> bytes:
    """Return the key of a token: plain SHA-256 is enough for 256 random bits."""
    return hashlib.sha256(token.encode()).digest()


class Store(Protocol):
    """Clients and tokens, durable. Every method raises ``StoreError`` if the storage fails, and no foreign error.

    What a call changed is durable and visible to every replica when it returns; a read sees every change that had
    returned before the read began.
    """

    async def find_client(self, client_id: str) -> ClientRecord | None:
        """Return the client with exactly this id, or ``None`` if there is none."""

    async def list_clients(self) -> Sequence[ClientRecord]:
        """Return all clients, by id."""

    async def add_client(self, client: ClientRecord) -> None:
        """Keep a new client.

        Raises ``DuplicateClientError`` if the id is taken; must not overwrite.
        """

    async def replace_client(self, client: ClientRecord) -> bool:
        """Put this in the place of the client with the same id; false if there is none.

        Where that disables the client, a notice about its tokens is written with it.
        """

    async def find_token(self, digest: bytes) -> TokenRecord | None:
        """Return the token with this digest, expired and revoked ones too, or ``None``."""

    async def list_tokens(
        self, *, client_id: str | None = None, sub: str | None = None, family: str | None = None, limit: int = 100
    ) -> Sequence[TokenRecord]:
        """Return the newest tokens; of a client, of a subject and of a family where they are named."""

    async def add_tokens(self, *tokens: TokenRecord) -> None:
        """Keep new tokens, all of them or none."""

    async def revoke_token(self, digest: bytes, *, revoked_at: int) -> None:
        """Mark the token revoked, and write a notice about it with that.

        An unknown token is no error, and the first time of revocation stays.
        """

    async def revoke_tokens(
        self,
        *,
        client_id: str | None = None,
        sub: str | None = None,
        jti: str | None = None,
        family: str | None = None,
        revoked_at: int,
    ) -> int:
        """Mark all tokens revoked that have all of the named properties, of which there is at least one; how many.

        Of a family not even a token survives that a refresh token is exchanged for at the same time. A notice is written
        with it: about the narrowest of the properties, for a family about each of its tokens.
        """

    async def exchange(self, digest: bytes, *, used_at: int, successors: Collection[TokenRecord]) -> bool:
        """Mark a refresh token used and keep what it was exchanged for, both or neither.

        False, and nothing is kept, if it was used or revoked before: of two that try, one succeeds.
        """

    async def remember_assertion(self, client_id: str, jti: str, *, expires_at: int, now: int) -> bool:
        """Note that a client used this ``jti``; false if it did so before and that use has not expired at ``now``."""

    async def delete_expired(self, *, before: int, limit: int) -> int:
        """Forget at most ``limit`` tokens, and as many assertions and notices, that expired before that time; how many.

        Several servers may do so at once.
        """

    async def list_notices(self, *, limit: int) -> Sequence[Notice]:
        """Return the newest notices that nobody has deleted, the oldest of them first."""

    async def delete_notices(self, numbers: Collection[int]) -> None:
        """Forget these notices: everybody knows."""

    async def add_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Append to the audit record; every event has ``at``, ``kind`` and members of its own."""

    async def delete_events(self, *, before: float, limit: int) -> int:
        """Forget at most ``limit`` events from before that time; how many it were. Several servers may do so at once."""

    async def close(self) -> None:
        """Finish what was begun and let go of the storage. Later calls raise ``StoreError``."""
