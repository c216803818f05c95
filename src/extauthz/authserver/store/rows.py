"""Records as rows of a table, and back. A row that does not say what it should is damage, told as ``StoreError``."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, Final

import orjson

from extauthz.authserver.store.base import NO_CLAIMS, AuthMethod, ClientRecord, StoreError, TokenKind, TokenRecord

Row = tuple[Any, ...]

CLIENT: Final = "client_id, secret_hash, can_introspect, audiences, scopes, disabled_at, details"
TOKEN: Final = (
    "digest, jti, client_id, sub, username, scope, audience, issued_at, not_before, expires_at, revoked_at,"  # noqa: S105 - columns
    " kind, family, used_at, claims"
)
TOKEN_READ: Final = f"{TOKEN}, (SELECT disabled_at FROM client WHERE client.client_id = token.client_id)"  # noqa: S608 - constants


def token_row(token: TokenRecord) -> Row:
    """Return what ``TOKEN`` names, in that order."""
    return (
        token.digest,
        token.jti,
        token.client_id,
        token.sub,
        token.username,
        json.dumps(token.scope),
        json.dumps(token.audience),
        token.issued_at,
        token.not_before,
        token.expires_at,
        token.revoked_at,
        token.kind.value,
        token.family,
        token.used_at,
        json.dumps(dict(token.claims), allow_nan=False) if token.claims else None,
    )


def token(row: Row) -> TokenRecord:
    """Return the token of a row of ``TOKEN_READ``."""
    with _reading("token"):
        return TokenRecord(
            digest=bytes(row[0]),
            jti=row[1],
            client_id=row[2],
            sub=row[3],
            username=row[4],
            scope=_texts(row[5]),
            audience=_texts(row[6]),
            issued_at=row[7],
            not_before=row[8],
            expires_at=row[9],
            revoked_at=row[10],
            kind=TokenKind(row[11]),
            family=row[12],
            used_at=row[13],
            claims=NO_CLAIMS if row[14] is None else _object(row[14]),
            client_disabled=row[15] is not None,
        )


def client_row(client: ClientRecord) -> Row:
    """Return what ``CLIENT`` names, in that order."""
    details = {
        "auth_method": client.auth_method.value,
        "old_secret_hash": client.old_secret_hash,
        "old_secret_until": client.old_secret_until,
        "keys": client.keys,
        "certificate_subject": client.certificate_subject,
        "networks": client.networks,
        "grants": client.grants,
        "jwt_access_tokens": client.jwt_access_tokens,
        "certificate_bound_tokens": client.certificate_bound_tokens,
    }
    return (
        client.client_id,
        client.secret_hash,
        int(client.can_introspect),
        json.dumps(client.audiences),
        json.dumps(client.scopes),
        client.disabled_at,
        json.dumps(details),
    )


@lru_cache(maxsize=1024)  # one client asks about many tokens
def client(row: Row) -> ClientRecord:
    """Return the client of a row of ``CLIENT``."""
    with _reading("client"):
        details = _object(row[6])
        return ClientRecord(
            client_id=row[0],
            secret_hash=row[1],
            can_introspect=bool(row[2]),
            audiences=_texts(row[3]),
            scopes=_texts(row[4]),
            disabled_at=row[5],
            auth_method=AuthMethod(details.get("auth_method", AuthMethod.SECRET)),
            old_secret_hash=details.get("old_secret_hash", ""),
            old_secret_until=details.get("old_secret_until", 0),
            keys=details.get("keys", ""),
            certificate_subject=details.get("certificate_subject", ""),
            networks=tuple(details.get("networks", ())),
            grants=tuple(details.get("grants", ("client_credentials",))),
            jwt_access_tokens=details.get("jwt_access_tokens", False),
            certificate_bound_tokens=details.get("certificate_bound_tokens", False),
        )


class _reading:  # noqa: N801 - used like a function
    """A row that does not say what it should is trouble, not an empty value."""

    def __init__(self, table: str) -> None:
        self._table = table

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, ValueError | TypeError | AttributeError):
            raise StoreError(f"a row of {self._table} is damaged: {error}") from error


@lru_cache(maxsize=1024)  # many tokens are for the same scopes and audiences
def _texts(packed: str) -> tuple[str, ...]:
    texts = orjson.loads(packed)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("a list column does not hold a list of texts")
    return tuple(texts)


def _object(packed: str) -> dict[str, Any]:
    members = orjson.loads(packed)
    if not isinstance(members, dict):
        raise ValueError("an object column does not hold an object")  # noqa: TRY004 - damage, like the others
    return members
