"""Clients and tokens in any SQL database: the statements, once. A ``Database`` runs them; parameters are ``?``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self

import orjson

from extauthz.authserver.store.base import (
    NO_CLAIMS,
    AuthMethod,
    ClientRecord,
    DuplicateClientError,
    StoreError,
    TokenKind,
    TokenRecord,
)
from extauthz.authserver.store.gather import Gatherer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

Row = tuple[Any, ...]

_CLIENT: Final = "client_id, secret_hash, can_introspect, audiences, scopes, disabled_at, details"
_TOKEN: Final = (
    "digest, jti, client_id, sub, username, scope, audience, issued_at, not_before, expires_at, revoked_at,"  # noqa: S105 - columns
    " kind, family, used_at, claims"
)
_TOKEN_READ: Final = f"{_TOKEN}, (SELECT disabled_at FROM client WHERE client.client_id = token.client_id)"  # noqa: S608 - constants
_TOKEN_MARKS: Final = ", ".join("?" * 15)


class Statement(NamedTuple):
    """One statement with its parameters. ``required``: the whole change is undone if it touches no row."""

    sql: str
    parameters: tuple[object, ...] = ()
    required: bool = False


class Database(Protocol):
    """Runs statements. Every method raises ``StoreError`` if the database fails, and no foreign error."""

    claiming: str
    """Ends a sub-select of rows to be deleted, so that another server that deletes takes other rows and does not wait."""

    async def read(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Return the rows of a query."""

    async def read_each(self, sql: str, keys: Sequence[Any]) -> list[Row]:
        """Return the rows of a query with one parameter, for each of the keys: ``... WHERE column = ?``."""

    async def change(self, *statements: Statement) -> list[int] | None:
        """Run all statements in one transaction; rows touched by each, or ``None`` if a required one touched none."""

    async def close(self) -> None:
        """Let go of it. Later calls raise ``StoreError``."""


class SqlStore:
    """A ``Store`` in a ``Database``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._clients = Gatherer(self._find_clients)
        self._tokens = Gatherer(self._find_tokens)

    async def __aenter__(self) -> Self:
        try:
            await self.open()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_exc_info: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Connect now, instead of at the first call."""
        await self._database.read("SELECT 1")

    async def close(self) -> None:
        """See ``Store``."""
        await self._database.close()

    async def find_client(self, client_id: str) -> ClientRecord | None:
        """See ``Store``."""
        return await self._clients.get(client_id)

    async def list_clients(self) -> list[ClientRecord]:
        """See ``Store``."""
        return [_client(row) for row in await self._database.read(f"SELECT {_CLIENT} FROM client ORDER BY client_id")]  # noqa: S608 - constants

    async def add_client(self, client: ClientRecord) -> None:
        """See ``Store``."""
        added = await self._database.change(
            Statement(
                f"INSERT INTO client ({_CLIENT}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (client_id) DO NOTHING",  # noqa: S608 - constants
                _client_row(client),
                required=True,
            )
        )
        if added is None:
            raise DuplicateClientError(client.client_id)

    async def replace_client(self, client: ClientRecord) -> bool:
        """See ``Store``."""
        client_id, *rest = _client_row(client)
        sql = (
            "UPDATE client SET secret_hash = ?, can_introspect = ?, audiences = ?, scopes = ?, disabled_at = ?,"
            " details = ? WHERE client_id = ?"
        )
        return await self._database.change(Statement(sql, (*rest, client_id), required=True)) is not None

    async def find_token(self, digest: bytes) -> TokenRecord | None:
        """See ``Store``."""
        return await self._tokens.get(digest)

    async def list_tokens(
        self, *, client_id: str | None = None, sub: str | None = None, family: str | None = None, limit: int = 100
    ) -> list[TokenRecord]:
        """See ``Store``."""
        where, values = _where(client_id=client_id, sub=sub, family=family)
        sql = f"SELECT {_TOKEN_READ} FROM token {where} ORDER BY issued_at DESC, jti LIMIT ?"  # noqa: S608 - constants
        return [_token(row) for row in await self._database.read(sql, (*values, limit))]

    async def add_tokens(self, *tokens: TokenRecord) -> None:
        """See ``Store``."""
        await self._database.change(*map(_insert, tokens))

    async def revoke_token(self, digest: bytes, *, revoked_at: int) -> None:
        """See ``Store``."""
        sql = "UPDATE token SET revoked_at = ? WHERE digest = ? AND revoked_at IS NULL"
        await self._database.change(Statement(sql, (revoked_at, digest)))

    async def revoke_tokens(
        self,
        *,
        client_id: str | None = None,
        sub: str | None = None,
        jti: str | None = None,
        family: str | None = None,
        revoked_at: int,
    ) -> int:
        """See ``Store``."""
        where, values = _where(client_id=client_id, sub=sub, jti=jti, family=family)
        if not where:
            raise ValueError("name what is to be revoked")
        sql = f"UPDATE token SET revoked_at = ? {where} AND revoked_at IS NULL"  # noqa: S608 - constants
        statement = Statement(sql, (revoked_at, *values))
        total = touched = sum(await self._database.change(statement) or ())
        # An exchange that is under way may hold its refresh token until after this statement has looked for successors.
        # Once a look finds nothing alive, no exchange can be under way: it needs a living refresh token.
        while touched and family is not None:
            touched = sum(await self._database.change(statement) or ())
            total += touched
        return total

    async def exchange(self, digest: bytes, *, used_at: int, successors: Collection[TokenRecord]) -> bool:
        """See ``Store``."""
        sql = "UPDATE token SET used_at = ? WHERE digest = ? AND used_at IS NULL AND revoked_at IS NULL"
        use = Statement(sql, (used_at, digest), required=True)
        return await self._database.change(use, *map(_insert, successors)) is not None

    async def remember_assertion(self, client_id: str, jti: str, *, expires_at: int, now: int) -> bool:
        """See ``Store``."""
        sql = (
            "INSERT INTO assertion (client_id, jti, expires_at) VALUES (?, ?, ?) ON CONFLICT (client_id, jti)"
            " DO UPDATE SET expires_at = excluded.expires_at WHERE assertion.expires_at <= ?"
        )
        statement = Statement(sql, (client_id, jti, expires_at, now), required=True)
        return await self._database.change(statement) is not None

    async def delete_expired(self, *, before: int, limit: int) -> int:
        """See ``Store``."""
        expired = f"WHERE expires_at < ? LIMIT ? {self._database.claiming}"
        tokens = f"DELETE FROM token WHERE digest IN (SELECT digest FROM token {expired})"  # noqa: S608 - constants
        assertions = f"DELETE FROM assertion WHERE (client_id, jti) IN (SELECT client_id, jti FROM assertion {expired})"  # noqa: S608 - constants
        touched = await self._database.change(*(Statement(sql, (before, limit)) for sql in (tokens, assertions)))
        return sum(touched or ())

    async def add_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """See ``Store``."""
        sql = "INSERT INTO event (at, kind, details) VALUES (?, ?, ?)"
        await self._database.change(
            *(Statement(sql, (float(event["at"]), str(event["kind"]), json.dumps(dict(event)))) for event in events)
        )

    async def _find_clients(self, ids: Sequence[str]) -> Mapping[str, ClientRecord]:
        sql = f"SELECT {_CLIENT} FROM client WHERE client_id = ?"  # noqa: S608 - constants
        return {row[0]: _client(row) for row in await self._database.read_each(sql, ids)}

    async def _find_tokens(self, digests: Sequence[bytes]) -> Mapping[bytes, TokenRecord]:
        sql = f"SELECT {_TOKEN_READ} FROM token WHERE digest = ?"  # noqa: S608 - constants
        return {bytes(row[0]): _token(row) for row in await self._database.read_each(sql, digests)}


def _where(**properties: str | None) -> tuple[str, tuple[str, ...]]:
    named = {column: value for column, value in properties.items() if value is not None}
    conditions = " AND ".join(f"{column} = ?" for column in named)
    return f"WHERE {conditions}" if conditions else "", tuple(named.values())


def _insert(token: TokenRecord) -> Statement:
    return Statement(f"INSERT INTO token ({_TOKEN}) VALUES ({_TOKEN_MARKS})", _token_row(token))  # noqa: S608 - constants


def _token_row(token: TokenRecord) -> Row:
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


def _token(row: Row) -> TokenRecord:
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


def _client_row(client: ClientRecord) -> Row:
    details = {
        "auth_method": client.auth_method.value,
        "old_secret_hash": client.old_secret_hash,
        "old_secret_until": client.old_secret_until,
        "keys": client.keys,
        "certificate_subject": client.certificate_subject,
        "networks": client.networks,
        "grants": client.grants,
        "jwt_access_tokens": client.jwt_access_tokens,
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


def _client(row: Row) -> ClientRecord:
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
