"""What puts something into the store: registering a client, issuing a token. Used by the service and the command line."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final

from extauthz.authserver.client_auth import BCRYPT_ROUNDS, hash_secret
from extauthz.authserver.store.base import ALL_AUDIENCES, ClientRecord, TokenRecord, token_digest
from extauthz.core.scopes import parse_scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extauthz.authserver.store.base import Store

MAX_TTL_SECONDS: Final = 10 * 365 * 86_400
"""Ten years: what is longer is a slip of the pen."""


async def issue_token(
    store: Store,
    *,
    client_id: str,
    sub: str | None = None,
    username: str | None = None,
    scope: Sequence[str] = (),
    audience: Sequence[str] = (),
    ttl_seconds: int,
    now: float,
    not_before: int | None = None,
) -> tuple[str, TokenRecord]:
    """Issue an access token of 256 random bits and return it with its record; only its digest is stored.

    Raises ``ValueError`` for a value that a token cannot have, ``StoreError`` if the storage fails.
    """
    if not 0 < ttl_seconds <= MAX_TTL_SECONDS:
        raise ValueError(f"the lifetime of a token is 1 to {MAX_TTL_SECONDS} seconds")
    if "" in audience or ALL_AUDIENCES in audience:
        raise ValueError("a token is for named audiences, not for an empty one or for all")
    if client_id == "" or sub == "":
        raise ValueError("a client id or a subject is not empty")
    token = secrets.token_urlsafe(32)
    record = TokenRecord(
        digest=token_digest(token),
        jti=secrets.token_urlsafe(16),
        client_id=client_id,
        sub=sub,
        username=username,
        scope=_checked(scope),
        audience=tuple(dict.fromkeys(audience)),
        issued_at=int(now),
        not_before=not_before,
        expires_at=int(now) + ttl_seconds,
    )
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
        scopes=_checked(scopes),
    )
    await store.add_client(client)
    return client


def _checked(scope: Sequence[str]) -> tuple[str, ...]:
    return parse_scope(" ".join(scope)) if scope else ()
