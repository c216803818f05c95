"""A SQLite file: no server to run, shared by the processes of one machine."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from extauthz.authserver.store.base import StoreError
from extauthz.authserver.store.sql import SqlStore, Statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from extauthz.authserver.store.rows import Row

_T = TypeVar("_T")

BUSY_TIMEOUT_SECONDS: Final = 2.0
"""How long a write waits for another process before it is a ``StoreError``."""

FILE_MODE: Final = 0o600

_MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """
        CREATE TABLE client (
            client_id TEXT PRIMARY KEY,
            secret_hash TEXT NOT NULL,
            can_introspect INTEGER NOT NULL CHECK (can_introspect IN (0, 1)),
            audiences TEXT NOT NULL,
            scopes TEXT NOT NULL
        ) STRICT, WITHOUT ROWID
        """,
        """
        CREATE TABLE token (
            digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
            jti TEXT NOT NULL,
            client_id TEXT NOT NULL,
            sub TEXT,
            username TEXT,
            scope TEXT NOT NULL,
            audience TEXT NOT NULL,
            issued_at INTEGER NOT NULL,
            not_before INTEGER,
            expires_at INTEGER NOT NULL,
            revoked_at INTEGER
        ) STRICT, WITHOUT ROWID
        """,
    ),
    (
        "ALTER TABLE client ADD COLUMN disabled_at INTEGER",
        "ALTER TABLE client ADD COLUMN details TEXT NOT NULL DEFAULT '{}'",
        "ALTER TABLE token ADD COLUMN kind TEXT NOT NULL DEFAULT 'access_token'",
        "ALTER TABLE token ADD COLUMN family TEXT",
        "ALTER TABLE token ADD COLUMN used_at INTEGER",
        "ALTER TABLE token ADD COLUMN claims TEXT",
        "CREATE INDEX token_by_expiry ON token (expires_at)",
        "CREATE INDEX token_by_client ON token (client_id, issued_at)",
        "CREATE INDEX token_by_jti ON token (jti)",
        "CREATE INDEX token_by_sub ON token (sub, issued_at) WHERE sub IS NOT NULL",
        "CREATE INDEX token_by_family ON token (family) WHERE family IS NOT NULL",
        """
        CREATE TABLE assertion (
            client_id TEXT NOT NULL,
            jti TEXT NOT NULL,
            expires_at INTEGER NOT NULL,
            PRIMARY KEY (client_id, jti)
        ) STRICT, WITHOUT ROWID
        """,
        "CREATE INDEX assertion_by_expiry ON assertion (expires_at)",
        "CREATE TABLE event (id INTEGER PRIMARY KEY, at REAL NOT NULL, kind TEXT NOT NULL, details TEXT NOT NULL) STRICT",
        "CREATE INDEX event_by_time ON event (at)",
    ),
    (
        # AUTOINCREMENT: who has taken a notice remembers its number, which must not come again.
        """
        CREATE TABLE notice (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            kind TEXT NOT NULL,
            name TEXT NOT NULL,
            expires_at INTEGER NOT NULL
        ) STRICT
        """,
        "CREATE INDEX notice_by_expiry ON notice (expires_at)",
    ),
)
"""Entry n leads from schema n to schema n + 1 (``PRAGMA user_version``). Published entries never change."""


class SqliteStore(SqlStore):
    """A ``Store`` in the file ``path``, made on first use with mode 0600."""

    def __init__(self, path: Path | str) -> None:
        self._file = SqliteDatabase(path)
        super().__init__(self._file)

    async def backup(self, target: Path) -> None:
        """Copy everything into a new private file while this one is in use.

        Raises ``StoreError`` also when the target exists.
        """
        await self._file.backup(target)


class MemoryStore(SqlStore):
    """A ``Store`` that forgets everything at its end; for tests."""

    def __init__(self) -> None:
        super().__init__(SqliteDatabase(None))


class SqliteDatabase:
    """A ``Database`` in one file, or in memory where there is none.

    Reads and changes have a lane each: a change that waits for the disk holds up no read (WAL). Rows by their keys are
    read in the thread of the event loop: some 10 microseconds each, where a trip to a lane and back takes longer than
    that. All that are wanted go into one statement, because Python's lock is let go of in each, and another thread takes
    it. Nothing locks such a read out (WAL); a page that is not in memory is one access to the disk.
    """

    claiming = ""  # there is one writer at a time

    def __init__(self, path: Path | str | None) -> None:
        self._path = None if path is None else Path(path)
        self._reads = _Lane(self._path)
        self._changes = self._reads if self._path is None else _Lane(self._path)
        self._glance: sqlite3.Connection | None = None
        self._closed = False

    async def close(self) -> None:
        """See ``Database``."""
        if self._closed:
            return
        self._closed = True
        if self._glance is not None:
            self._glance.close()
            self._glance = None
        await self._changes.close()
        if self._reads is not self._changes:
            await self._reads.close()

    async def read(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        """See ``Database``."""
        return await self._run(self._reads, lambda connection: connection.execute(sql, tuple(parameters)).fetchall())

    async def read_each(self, sql: str, keys: Sequence[Any]) -> list[Row]:
        """See ``Database``."""
        found = self._glanced(_among(sql, len(keys)), keys)
        if found is not None:
            return found
        return await self.read(_among(sql, len(keys)), keys)

    def _glanced(self, sql: str, keys: Sequence[Any]) -> list[Row] | None:
        """The rows without a lane; ``None`` where that cannot be done, which a lane then does or tells of."""
        if self._closed or self._path is None or not self._reads.connected:  # the lane brings the schema up to date
            return None
        try:
            if self._glance is None:
                self._glance = sqlite3.connect(self._path, timeout=0, isolation_level=None)
            return self._glance.execute(sql, keys).fetchall()
        except (sqlite3.Error, ValueError):
            return None

    async def change(self, *statements: Statement) -> list[int] | None:
        """See ``Database``."""
        return await self._run(self._changes, lambda connection: _change(connection, statements))

    async def backup(self, target: Path) -> None:
        """Copy everything into a new private file."""
        await self._run(self._changes, lambda connection: _backup(connection, target))

    async def _run(self, lane: _Lane, work: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._closed:
            raise StoreError(f"{self._path}: the store is closed")
        return await lane.run(work)


@lru_cache(maxsize=512)
def _among(sql: str, count: int) -> str:
    return sql.replace("= ?", f"IN ({', '.join('?' * count)})")


class _Lane:
    """One connection and the one thread that owns it, for what may take long: the event loop does not wait for it."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="authserver-sqlite")
        self._connection: sqlite3.Connection | None = None

    @property
    def connected(self) -> bool:
        return self._connection is not None

    async def run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, work)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown()

    def _guarded(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            if self._connection is None:
                self._connection = _connect(self._path)
            return work(self._connection)
        except (sqlite3.Error, OSError, ValueError) as error:
            raise StoreError(f"{self._path}: {error}") from error

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _connect(path: Path | None) -> sqlite3.Connection:
    if path is not None:
        _make_private(path)
    connection = sqlite3.connect(path or ":memory:", timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
    try:
        if path is not None:
            _use_wal(connection)
        # FULL: with NORMAL, a power cut could undo a revocation that has been confirmed.
        connection.execute("PRAGMA synchronous = FULL")
        _migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    # Processes that meet at this switch get SQLITE_BUSY at once: the busy timeout does not cover it.
    deadline = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _make_private(path: Path) -> None:
    # An existing file is never opened here: closing any descriptor of it would drop SQLite's locks in this process.
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, FILE_MODE))
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            path.chmod(FILE_MODE)


def _migrate(connection: sqlite3.Connection) -> None:
    with _transaction(connection):
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(_MIGRATIONS):
            raise ValueError(f"the file has schema {version}, this program knows {len(_MIGRATIONS)} at most")
        for statement in (statement for step in _MIGRATIONS[version:] for statement in step):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


class _Undo(Exception):  # noqa: N818 - a signal
    """A required statement touched no row."""


def _change(connection: sqlite3.Connection, statements: Sequence[Statement]) -> list[int] | None:
    touched = []
    try:
        with _transaction(connection):
            for sql, parameters, required in statements:
                touched.append(connection.execute(sql, parameters).rowcount)
                _require(touched[-1] or not required)
    except _Undo:
        return None
    return touched


def _require(touched: object) -> None:
    if not touched:
        raise _Undo


def _backup(connection: sqlite3.Connection, target: Path) -> None:
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_RDWR, FILE_MODE))
    try:
        with closing(sqlite3.connect(target)) as copy:
            connection.backup(copy)
    except BaseException:
        target.unlink()
        raise
