"""What puts something into the store: registering a client, issuing a token. Used by the service and the command line."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from extauthz.authserver.client_auth import BCRYPT_ROUNDS, hash_secret
from extauthz.authserver.minting import Grant, checked_scope, mint
from extauthz.authserver.store.base import NO_CLAIMS, ClientRecord, TokenKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from extauthz.authserver.store.base import Store, TokenRecord


async def issue_token(
    store: Store,
    *,
    client_id: str,
    sub: str | None = None,
    username: str | None = None,
    scope: Sequence[str] = (),
    audience: Sequence[str] = (),
    claims: Mapping[str, Any] = NO_CLAIMS,
    kind: TokenKind = TokenKind.ACCESS,
    ttl_seconds: int,
    now: float,
    not_before: int | None = None,
) -> tuple[str, TokenRecord]:
    """Issue an opaque token, for access or to be refreshed, and return it with its record; only its digest is stored.

    ``claims`` are members of the introspection answer beyond the standard ones, such as ``cnf`` or ``acr``.
    Raises ``ValueError`` for a value that a token cannot have, ``StoreError`` if the storage fails.
    """
    grant = Grant(
        client_id=client_id,
        sub=sub,
        username=username,
        scope=checked_scope(scope),
        audience=tuple(dict.fromkeys(audience)),
        claims=claims,
    )
    token, record = mint(grant, kind=kind, now=now, ttl_seconds=ttl_seconds, not_before=not_before)
    await store.add_tokens(record)
    return token, record


async def add_client(
    store: Store,
    *,
    client_id: str,
    secret: str,
    can_introspect: bool = False,
    audiences: Sequence[str] = (),
    scopes: Sequence[str] = (),
    rounds: int = BCRYPT_ROUNDS,
) -> ClientRecord:
    """Register a confidential client; only the bcrypt hash of its secret is stored.

    Raises ``DuplicateClientError`` if the id is taken, ``ValueError`` for a value that a client cannot have,
    ``StoreError`` if the storage fails.
    """
    if not client_id or not client_id.isprintable():
        raise ValueError("a client id is printable text and not empty")
    if "" in audiences:
        raise ValueError("an audience is not empty")
    client = ClientRecord(
        client_id=client_id,
        secret_hash=await asyncio.to_thread(hash_secret, secret, rounds=rounds),
        can_introspect=can_introspect,
        audiences=tuple(dict.fromkeys(audiences)),
        scopes=checked_scope(scopes),
    )
    await store.add_client(client)
    return client
