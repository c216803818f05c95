"""Clients and tokens in any SQL database: the statements, once. A ``Database`` runs them; parameters are ``?``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, Self

from extauthz.authserver.store import rows
from extauthz.authserver.store.base import NOTICE_SECONDS, DuplicateClientError, Notice
from extauthz.authserver.store.gather import Gatherer

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from extauthz.authserver.store.base import ClientRecord, TokenRecord
    from extauthz.authserver.store.rows import Row

_TOKEN_MARKS: Final = ", ".join("?" * 15)
_CLIENT_BY_ID: Final = f"SELECT {rows.CLIENT} FROM client WHERE client_id = ?"  # noqa: S608 - constants
_NOTICE: Final = "INSERT INTO notice (kind, name, expires_at)"
_OF_EACH_TOKEN: Final = f"{_NOTICE} SELECT 'jti', jti, revoked_at + {NOTICE_SECONDS} FROM token"  # noqa: S608 - constants
_OF_CLIENT: Final = (
    f"{_NOTICE} SELECT 'client_id', client_id, CAST(? AS BIGINT) FROM client"  # noqa: S608 - constants
    " WHERE client_id = ? AND disabled_at IS NULL"
)
_TOKEN_BY_DIGEST: Final = f"SELECT {rows.TOKEN_READ} FROM token WHERE digest = ?"  # noqa: S608 - constants


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
        row = await self._clients.get(client_id)
        return None if row is None else rows.client(row)

    async def list_clients(self) -> list[ClientRecord]:
        """See ``Store``."""
        sql = f"SELECT {rows.CLIENT} FROM client ORDER BY client_id"  # noqa: S608 - constants
        return [rows.client(row) for row in await self._database.read(sql)]

    async def add_client(self, client: ClientRecord) -> None:
        """See ``Store``."""
        added = await self._database.change(
            Statement(
                f"INSERT INTO client ({rows.CLIENT}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (client_id) DO NOTHING",  # noqa: S608 - constants
                rows.client_row(client),
                required=True,
            )
        )
        if added is None:
            raise DuplicateClientError(client.client_id)

    async def replace_client(self, client: ClientRecord) -> bool:
        """See ``Store``."""
        client_id, *rest = rows.client_row(client)
        sql = (
            "UPDATE client SET secret_hash = ?, can_introspect = ?, audiences = ?, scopes = ?, disabled_at = ?,"
            " details = ? WHERE client_id = ?"
        )
        replacing = Statement(sql, (*rest, client_id), required=True)
        if client.disabled_at is None:
            return await self._database.change(replacing) is not None
        notice = Statement(_OF_CLIENT, (client.disabled_at + NOTICE_SECONDS, client_id))
        return await self._database.change(notice, replacing) is not None

    async def find_token(self, digest: bytes) -> TokenRecord | None:
        """See ``Store``."""
        row = await self._tokens.get(digest)
        return None if row is None else rows.token(row)

    async def list_tokens(
        self, *, client_id: str | None = None, sub: str | None = None, family: str | None = None, limit: int = 100
    ) -> list[TokenRecord]:
        """See ``Store``."""
        where, values = _where(client_id=client_id, sub=sub, family=family)
        sql = f"SELECT {rows.TOKEN_READ} FROM token {where} ORDER BY issued_at DESC, jti LIMIT ?"  # noqa: S608 - constants
        return [rows.token(row) for row in await self._database.read(sql, (*values, limit))]

    async def add_tokens(self, *tokens: TokenRecord) -> None:
        """See ``Store``."""
        await self._database.change(*map(_insert, tokens))

    async def revoke_token(self, digest: bytes, *, revoked_at: int) -> None:
        """See ``Store``."""
        sql = "UPDATE token SET revoked_at = ? WHERE digest = ? AND revoked_at IS NULL"
        await self._database.change(
            Statement(sql, (revoked_at, digest), required=True),
            Statement(f"{_OF_EACH_TOKEN} WHERE digest = ? AND revoked_at = ?", (digest, revoked_at)),
        )

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
        named = {"jti": jti, "sub": sub, "client_id": client_id}
        narrowest = next(((kind, name) for kind, name in named.items() if name is not None), None)
        if narrowest is None:
            notice = Statement(
                f"{_OF_EACH_TOKEN} {where} AND revoked_at = ? AND expires_at > revoked_at", (*values, revoked_at)
            )
        else:
            notice = Statement(f"{_NOTICE} VALUES (?, ?, ?)", (*narrowest, revoked_at + NOTICE_SECONDS))
        return await self._revoke(
            Statement(sql, (revoked_at, *values), required=True), notice, repeat=family is not None
        )

    async def _revoke(self, revoking: Statement, notice: Statement, *, repeat: bool) -> int:
        total = touched = (await self._database.change(revoking, notice) or (0,))[0]
        # An exchange that is under way may hold its refresh token until after this statement has looked for successors.
        # Once a look finds nothing alive, no exchange can be under way: it needs a living refresh token.
        while touched and repeat:
            touched = (await self._database.change(revoking, notice) or (0,))[0]
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
        notices = f"DELETE FROM notice WHERE id IN (SELECT id FROM notice {expired})"  # noqa: S608 - constants
        touched = await self._database.change(
            *(Statement(sql, (before, limit)) for sql in (tokens, assertions, notices))
        )
        return sum(touched or ())

    async def list_notices(self, *, limit: int) -> list[Notice]:
        """See ``Store``."""
        sql = "SELECT id, kind, name FROM notice ORDER BY id DESC LIMIT ?"
        return [Notice(*row) for row in reversed(await self._database.read(sql, (limit,)))]

    async def delete_notices(self, numbers: Collection[int]) -> None:
        """See ``Store``."""
        marks = ", ".join("?" * len(numbers))
        await self._database.change(Statement(f"DELETE FROM notice WHERE id IN ({marks})", tuple(numbers)))  # noqa: S608 - marks

    async def add_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        """See ``Store``."""
        sql = "INSERT INTO event (at, kind, details) VALUES (?, ?, ?)"
        await self._database.change(
            *(Statement(sql, (float(event["at"]), str(event["kind"]), json.dumps(dict(event)))) for event in events)
        )

    async def delete_events(self, *, before: float, limit: int) -> int:
        """See ``Store``."""
        old = f"SELECT id FROM event WHERE at < ? LIMIT ? {self._database.claiming}"  # noqa: S608 - constants
        statement = Statement(f"DELETE FROM event WHERE id IN ({old})", (float(before), limit))  # noqa: S608 - constants
        return sum(await self._database.change(statement) or ())

    async def _find_clients(self, ids: Sequence[str]) -> Mapping[str, Row]:
        return {row[0]: row for row in await self._database.read_each(_CLIENT_BY_ID, ids)}

    async def _find_tokens(self, digests: Sequence[bytes]) -> Mapping[bytes, Row]:
        return {bytes(row[0]): row for row in await self._database.read_each(_TOKEN_BY_DIGEST, digests)}


def _where(**properties: str | None) -> tuple[str, tuple[str, ...]]:
    named = {column: value for column, value in properties.items() if value is not None}
    conditions = " AND ".join(f"{column} = ?" for column in named)
    return f"WHERE {conditions}" if conditions else "", tuple(named.values())


def _insert(token: TokenRecord) -> Statement:
    return Statement(f"INSERT INTO token ({rows.TOKEN}) VALUES ({_TOKEN_MARKS})", rows.token_row(token))  # noqa: S608 - constants
