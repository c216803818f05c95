"""What an operator does to clients and tokens that are there: rotate, disable, import, revoke."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final, NamedTuple

import bcrypt

from extauthz.authserver.assertion import check_keys
from extauthz.authserver.authenticator import check_subject
from extauthz.authserver.client_auth import MAX_SECRET_BYTES, hash_secret
from extauthz.authserver.minting import checked_scope
from extauthz.authserver.store.base import AuthMethod, ClientRecord, TokenKind, token_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from extauthz.authserver.store.base import Store

GRACE_SECONDS: Final = 86_400
"""How long the secret before the last rotation is good, if nothing else is said."""


MAX_FAMILY: Final = 10_000
"""Tokens of one family that are looked at."""


class Revoked(NamedTuple):
    """How many tokens were revoked now, and the ``jti`` of each that is: some may have been revoked before."""

    total: int
    names: tuple[str, ...]


class UnknownClientError(ValueError):
    """No client has this id."""

    def __init__(self, client_id: str) -> None:
        super().__init__(f"there is no client {client_id!r}")


class Change(StrEnum):
    """What an import does to a client."""

    ADD = "add"
    CHANGE = "change"
    DISABLE = "disable"
    NOTHING = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How a client shall be. ``secret``: ``None`` leaves the one that it has."""

    client_id: str
    secret: str | None = field(default=None, repr=False)
    can_introspect: bool = False
    audiences: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    grants: tuple[str, ...] = ("client_credentials",)
    jwt_access_tokens: bool = False
    certificate_bound_tokens: bool = False
    keys: str = ""
    certificate_subject: str = ""
    disabled: bool = False

    @property
    def auth_method(self) -> AuthMethod:
        """What it authenticates with: its keys, its certificate, or else a secret."""
        if self.keys:
            return AuthMethod.PRIVATE_KEY_JWT
        return AuthMethod.TLS if self.certificate_subject else AuthMethod.SECRET


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One client of an import: what is done to it, and the record that this leads to."""

    change: Change
    client: ClientRecord


async def rotate_secret(
    store: Store, client_id: str, secret: str, *, now: float, grace_seconds: int = GRACE_SECONDS
) -> ClientRecord:
    """Give the client a new secret; the one it has stays good for ``grace_seconds``, and one before that no longer.

    Raises ``ValueError`` for a client that is not there or has no secret, ``StoreError`` if the storage fails.
    """
    client = await _client(store, client_id)
    if client.auth_method is not AuthMethod.SECRET:
        raise ValueError(f"client {client_id!r} has no secret: it authenticates by {client.auth_method}")
    secret_hash = await asyncio.to_thread(hash_secret, secret)
    return await _replace(store, _with_secret(client, secret_hash, now=now, grace_seconds=grace_seconds))


async def set_disabled(store: Store, client_id: str, *, disabled_at: int | None) -> ClientRecord:
    """Disable the client, which makes its tokens inactive at once, or enable it again with ``None``."""
    client = await _client(store, client_id)
    if (client.disabled_at is None) is (disabled_at is None):
        return client
    return await _replace(store, replace(client, disabled_at=disabled_at))


async def revoke_presented(store: Store, token: str, *, now: int) -> Revoked:
    """Revoke the token, with a refresh token its whole family."""
    record = await store.find_token(token_digest(token))
    if record is None:
        return Revoked(0, ())
    if record.kind is TokenKind.REFRESH and record.family is not None:
        count = await store.revoke_tokens(family=record.family, revoked_at=now)
        return Revoked(count, await family_names(store, record.family))
    return Revoked(await store.revoke_tokens(jti=record.jti, revoked_at=now), (record.jti,))


async def family_names(store: Store, family: str) -> tuple[str, ...]:
    """Return the ``jti`` of each token of the family, the newest first; what is older than these is out of use."""
    return tuple(token.jti for token in await store.list_tokens(family=family, limit=MAX_FAMILY))


async def plan_step(wanted: Wanted, existing: ClientRecord | None, *, now: float, grace_seconds: int) -> Step:
    """Compare how a client shall be with how it is. Nothing is stored.

    Raises ``ValueError`` for a value that a client cannot have, and for a new client that has no credentials.
    """
    check_wanted(wanted)
    shaped = _shaped(wanted, existing, now)
    if existing is not None and await _secret_stays(wanted, existing):
        return Step(change=Change.NOTHING if shaped == existing else Change.CHANGE, client=shaped)
    if wanted.auth_method is not AuthMethod.SECRET:
        bare = replace(shaped, secret_hash="", old_secret_hash="", old_secret_until=0)
        return Step(change=_change(bare, existing), client=bare)
    if wanted.secret is None:
        raise ValueError(f"client {wanted.client_id!r} has no secret yet: name the file that holds it")
    secret_hash = await asyncio.to_thread(hash_secret, wanted.secret)
    client = _with_secret(shaped, secret_hash, now=now, grace_seconds=grace_seconds)
    return Step(change=_change(client, existing), client=client)


def plan_prune(existing: Sequence[ClientRecord], wanted_ids: frozenset[str], *, now: float) -> list[Step]:
    """Clients that nobody wants are disabled, which can be undone, and not deleted."""
    return [
        Step(change=Change.DISABLE, client=replace(client, disabled_at=int(now)))
        for client in existing
        if client.client_id not in wanted_ids and client.disabled_at is None
    ]


async def carry_out(store: Store, step: Step) -> None:
    """Store what the step leads to."""
    if step.change is Change.ADD:
        await store.add_client(step.client)
    elif step.change is not Change.NOTHING:
        await _replace(store, step.client)


def check_wanted(wanted: Wanted) -> None:
    """Raise ``ValueError`` for a value that a client cannot have."""
    if not wanted.client_id or not wanted.client_id.isprintable():
        raise ValueError("a client id is printable text and not empty")
    if "" in wanted.audiences:
        raise ValueError("an audience is not empty")
    if wanted.keys and wanted.certificate_subject:
        raise ValueError(f"client {wanted.client_id!r} authenticates by keys or by certificate, not by both")
    checked_scope(wanted.scopes)
    if wanted.keys:
        check_keys(wanted.keys)
    if wanted.certificate_subject:
        check_subject(wanted.certificate_subject)
    for network in wanted.networks:
        ip_network(network)


def _shaped(wanted: Wanted, existing: ClientRecord | None, now: float) -> ClientRecord:
    """The wanted record, with the secret and the time of disabling that it has."""
    base = ClientRecord(client_id=wanted.client_id) if existing is None else existing
    disabled_since = int(now) if base.disabled_at is None else base.disabled_at
    return replace(
        base,
        can_introspect=wanted.can_introspect,
        audiences=tuple(dict.fromkeys(wanted.audiences)),
        scopes=tuple(dict.fromkeys(wanted.scopes)),
        networks=wanted.networks,
        grants=wanted.grants,
        jwt_access_tokens=wanted.jwt_access_tokens,
        certificate_bound_tokens=wanted.certificate_bound_tokens,
        auth_method=wanted.auth_method,
        keys=wanted.keys,
        certificate_subject=wanted.certificate_subject,
        disabled_at=disabled_since if wanted.disabled else None,
    )


async def _secret_stays(wanted: Wanted, existing: ClientRecord) -> bool:
    if wanted.auth_method is not AuthMethod.SECRET:
        return not existing.secret_hash
    if not existing.secret_hash:
        return False
    if wanted.secret is None:
        return True
    plain = wanted.secret.encode()
    if len(plain) > MAX_SECRET_BYTES:
        return False
    return await asyncio.to_thread(bcrypt.checkpw, plain, existing.secret_hash.encode())


def _with_secret(client: ClientRecord, secret_hash: str, *, now: float, grace_seconds: int) -> ClientRecord:
    until = int(now) + grace_seconds if client.secret_hash and grace_seconds else 0
    old = client.secret_hash if until else ""
    return replace(client, secret_hash=secret_hash, old_secret_hash=old, old_secret_until=until)


def _change(client: ClientRecord, existing: ClientRecord | None) -> Change:
    if existing is None:
        return Change.ADD
    return Change.NOTHING if client == existing else Change.CHANGE


async def _client(store: Store, client_id: str) -> ClientRecord:
    client = await store.find_client(client_id)
    if client is None:
        raise UnknownClientError(client_id)
    return client


async def _replace(store: Store, client: ClientRecord) -> ClientRecord:
    if not await store.replace_client(client):
        raise UnknownClientError(client.client_id)
    return client
