"""A PostgreSQL database: for several machines. The schema is brought up to date by command, never by a server that starts."""

from __future__ import annotations

import asyncio
import itertools
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import asyncpg

from extauthz.authserver.store.base import StoreError
from extauthz.authserver.store.sql import SqlStore, Statement

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from extauthz.authserver.store.rows import Row

_T = TypeVar("_T")

COMMAND_SECONDS: Final = 2.0
"""How long one statement may take, waiting for a connection included, before it is a ``StoreError``."""

CONNECTIONS: Final = 10
"""Open at once for each process, besides one or two that look-ups keep."""

_MIGRATION_LOCK: Final = 7_662_7_009
"""Of PostgreSQL's advisory locks: two that migrate at the same time take turns."""

_MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE client (
            client_id TEXT PRIMARY KEY,
            secret_hash TEXT NOT NULL,
            can_introspect INTEGER NOT NULL CHECK (can_introspect IN (0, 1)),
            audiences TEXT NOT NULL,
            scopes TEXT NOT NULL,
            disabled_at BIGINT,
            details TEXT NOT NULL DEFAULT '{}'
        )
        """,
        """
        CREATE TABLE token (
            digest BYTEA PRIMARY KEY CHECK (length(digest) = 32),
            jti TEXT NOT NULL,
            client_id TEXT NOT NULL,
            sub TEXT,
            username TEXT,
            scope TEXT NOT NULL,
            audience TEXT NOT NULL,
            issued_at BIGINT NOT NULL,
            not_before BIGINT,
            expires_at BIGINT NOT NULL,
            revoked_at BIGINT,
            kind TEXT NOT NULL,
            family TEXT,
            used_at BIGINT,
            claims TEXT
        )
        """,
        "CREATE INDEX token_by_expiry ON token (expires_at)",
        "CREATE INDEX token_by_client ON token (client_id, issued_at)",
        "CREATE INDEX token_by_jti ON token (jti)",
        "CREATE INDEX token_by_sub ON token (sub, issued_at) WHERE sub IS NOT NULL",
        "CREATE INDEX token_by_family ON token (family) WHERE family IS NOT NULL",
        """
        CREATE TABLE assertion (
            client_id TEXT NOT NULL,
            jti TEXT NOT NULL,
            expires_at BIGINT NOT NULL,
            PRIMARY KEY (client_id, jti)
        )
        """,
        "CREATE INDEX assertion_by_expiry ON assertion (expires_at)",
        """
        CREATE TABLE event (
            id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            at DOUBLE PRECISION NOT NULL,
            kind TEXT NOT NULL,
            details TEXT NOT NULL
        )
        """,
        "CREATE INDEX event_by_time ON event (at)",
    ),
    (
        """
        CREATE TABLE notice (
            id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            expires_at BIGINT NOT NULL
        )
        """,
        "CREATE INDEX notice_by_expiry ON notice (expires_at)",
    ),
)
"""Entry n leads from schema n to schema n + 1 (table ``schema_version``). Published entries never change."""

_TROUBLE: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,  # TimeoutError is one
    ValueError,
)

SCHEMA: Final = len(_MIGRATIONS)
"""The schema that this program needs."""


class PostgresStore(SqlStore):
    """A ``Store`` in the database at ``url``: ``postgresql://user@host/name``, as libpq reads it."""

    def __init__(self, url: str) -> None:
        super().__init__(PostgresDatabase(url))


class PostgresDatabase:
    """A ``Database`` on a pool of connections. What a restart of the server broke is replaced when it is next needed."""

    claiming = "FOR UPDATE SKIP LOCKED"

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: asyncpg.Pool[Any] | None = None
        self._opening = asyncio.Lock()
        self._kept: list[asyncpg.Connection[Any]] = []
        self._closed = False

    async def read(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """See ``Database``."""
        return await self._run(lambda connection: connection.fetch(_numbered(sql), *parameters))

    async def read_each(self, sql: str, keys: Sequence[Any]) -> list[Row]:
        """See ``Database``."""
        return await self._in_time(self._look_up(_any_of(sql), list(keys)))

    async def _look_up(self, sql: str, keys: list[Any]) -> list[Row]:
        """On a connection that is kept for it: to take one from the pool costs nearly as much as the query."""
        connection = await self._kept_connection()
        try:
            found = await connection.fetch(sql, keys)
        except BaseException:
            connection.terminate()
            raise
        if self._closed:
            connection.terminate()
        else:
            self._kept.append(connection)
        return found

    async def _kept_connection(self) -> asyncpg.Connection[Any]:
        while self._kept:
            connection = self._kept.pop()
            if not connection.is_closed():
                return connection
        await self._connected()
        return await asyncpg.connect(self._url)

    async def change(self, *statements: Statement) -> list[int] | None:
        """See ``Database``."""
        return await self._run(lambda connection: _change(connection, statements))

    async def close(self) -> None:
        """See ``Database``."""
        self._closed = True
        for connection in self._kept:
            connection.terminate()
        if self._pool is not None:
            self._pool.terminate()

    async def _run(self, work: Callable[[Any], Awaitable[_T]]) -> _T:
        return await self._in_time(self._on_any(work))

    async def _on_any(self, work: Callable[[Any], Awaitable[_T]]) -> _T:
        pool = await self._connected()
        async with pool.acquire() as connection:
            return await work(connection)

    async def _in_time(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Its result; what is wrong with the database is told as ``StoreError``."""
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                return await work
        except _TROUBLE as error:
            raise StoreError(_told(error, self._url)) from error

    async def _connected(self) -> asyncpg.Pool[Any]:
        if self._closed:
            raise StoreError("the store is closed")
        if self._pool is not None:
            return self._pool
        async with self._opening:
            if self._pool is None:
                pool = await asyncpg.create_pool(self._url, min_size=0, max_size=CONNECTIONS, reset=_stay)
                try:
                    await _check_schema(pool)
                except BaseException:
                    pool.terminate()
                    raise
                self._pool = pool
        return self._pool


async def _stay(_connection: object) -> None:
    """What a connection is reset to, besides having no transaction: we set nothing that the next user should not find.

    The usual reset is a round trip for each use.
    """


async def migrate(url: str) -> tuple[int, int]:
    """Bring the schema up to date; the schema before and after.

    Raises ``StoreError`` if the database cannot be reached or is from the future.
    """
    try:
        connection = await asyncpg.connect(url, timeout=10)
        try:
            async with connection.transaction():
                return await _migrate(connection)
        finally:
            await connection.close()
    except _TROUBLE as error:
        raise StoreError(_told(error, url)) from error


async def _migrate(connection: asyncpg.Connection[Any]) -> tuple[int, int]:
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
    await connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    version = await connection.fetchval("SELECT coalesce(max(version), 0) FROM schema_version")
    if version > SCHEMA:
        raise ValueError(f"the database has schema {version}, this program knows {SCHEMA} at most")
    for number, step in enumerate(_MIGRATIONS[version:], start=version + 1):
        for statement in step:
            await connection.execute(statement)
        await connection.execute("INSERT INTO schema_version (version) VALUES ($1)", number)
    return version, SCHEMA


async def _check_schema(pool: asyncpg.Pool[Any]) -> None:
    try:
        version = await pool.fetchval("SELECT coalesce(max(version), 0) FROM schema_version")
    except asyncpg.UndefinedTableError:
        version = 0
    if version != SCHEMA:
        advice = "run extauthz authserver migrate" if version < SCHEMA else "run a newer extauthz"
        raise ValueError(f"the database has schema {version}, this program needs {SCHEMA}: {advice}")


async def _change(connection: asyncpg.Connection[Any], statements: Sequence[Statement]) -> list[int] | None:
    transaction = connection.transaction()
    await transaction.start()
    touched = []
    try:
        for sql, parameters, required in statements:
            count = int((await connection.execute(_numbered(sql), *parameters)).rpartition(" ")[2])
            if required and not count:
                await transaction.rollback()
                return None
            touched.append(count)
    except BaseException:
        if not connection.is_closed():
            await transaction.rollback()
        raise
    await transaction.commit()
    return touched


@lru_cache(maxsize=256)
def _numbered(sql: str) -> str:
    numbers = itertools.count(1)
    return re.sub(r"\?", lambda _: f"${next(numbers)}", sql)


@lru_cache(maxsize=64)
def _any_of(sql: str) -> str:
    return sql.replace("= ?", "= ANY($1)")


def _told(error: Exception, url: str) -> str:
    """What may be shown: which server and database, never the user or the options, among which may be a password."""
    parts = urlsplit(url)
    where = f"PostgreSQL at {parts.netloc.rpartition('@')[2]}{parts.path}"
    if isinstance(error, TimeoutError):
        return f"{where} did not answer within {COMMAND_SECONDS:g} seconds"
    if isinstance(error, ValueError):  # a sentence of ours, or about a value
        return f"{where}: {error}"
    return f"{where}: {type(error).__name__}: {error}"
