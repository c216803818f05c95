"""Clients and tokens in one SQLite file: no server to run, shared by the processes of one machine."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self, TypeVar

from extauthz.authserver.store.base import ClientRecord, DuplicateClientError, StoreError, TokenRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
)
"""Entry n leads from schema n to schema n + 1 (``PRAGMA user_version``). Published entries never change."""


class SqliteStore:
    """A ``Store`` in the file ``path``, made on first use with mode 0600.

    One thread owns the connection and runs every call in turn, so the event loop never waits for the disk.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="authserver-sqlite")
        self._connection: sqlite3.Connection | None = None
        self._closed = False

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
        """Open the file and bring its schema up to date now, instead of at the first call."""
        await self._run(lambda _connection: None)

    async def close(self) -> None:
        """Finish what was begun and let go of the file. Later calls raise ``StoreError``."""
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(self._thread, self._disconnect)
        self._thread.shutdown()

    async def find_client(self, client_id: str) -> ClientRecord | None:
        """See ``Store``."""
        return await self._run(lambda connection: _find_client(connection, client_id))

    async def add_client(self, client: ClientRecord) -> None:
        """See ``Store``."""
        await self._run(lambda connection: _add_client(connection, client))

    async def find_token(self, digest: bytes) -> TokenRecord | None:
        """See ``Store``."""
        return await self._run(lambda connection: _find_token(connection, digest))

    async def add_token(self, token: TokenRecord) -> None:
        """See ``Store``."""
        await self._run(lambda connection: _add_token(connection, token))

    async def revoke_token(self, digest: bytes, *, revoked_at: int) -> None:
        """See ``Store``."""
        await self._run(lambda connection: _revoke_token(connection, digest, revoked_at))

    async def _run(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        if self._closed:
            raise StoreError(f"{self._path}: the store is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._guarded, work)

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


def _connect(path: Path) -> sqlite3.Connection:
    _make_private(path)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
    try:
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


def _find_client(connection: sqlite3.Connection, client_id: str) -> ClientRecord | None:
    row = connection.execute(
        "SELECT client_id, secret_hash, can_introspect, audiences, scopes FROM client WHERE client_id = ?", (client_id,)
    ).fetchone()
    if row is None:
        return None
    found_id, secret_hash, can_introspect, audiences, scopes = row
    return ClientRecord(
        client_id=found_id,
        secret_hash=secret_hash,
        can_introspect=bool(can_introspect),
        audiences=_unpacked(audiences),
        scopes=_unpacked(scopes),
    )


def _add_client(connection: sqlite3.Connection, client: ClientRecord) -> None:
    row = (
        client.client_id,
        client.secret_hash,
        int(client.can_introspect),
        _packed(client.audiences),
        _packed(client.scopes),
    )
    cursor = connection.execute(
        """
        INSERT INTO client (client_id, secret_hash, can_introspect, audiences, scopes)
        VALUES (?, ?, ?, ?, ?) ON CONFLICT (client_id) DO NOTHING
        """,
        row,
    )
    if cursor.rowcount == 0:
        raise DuplicateClientError(client.client_id)


def _find_token(connection: sqlite3.Connection, digest: bytes) -> TokenRecord | None:
    row = connection.execute(
        """
        SELECT digest, jti, client_id, sub, username, scope, audience, issued_at, not_before, expires_at, revoked_at
        FROM token WHERE digest = ?
        """,
        (digest,),
    ).fetchone()
    if row is None:
        return None
    found, jti, client_id, sub, username, scope, audience, issued_at, not_before, expires_at, revoked_at = row
    return TokenRecord(
        digest=found,
        jti=jti,
        client_id=client_id,
        sub=sub,
        username=username,
        scope=_unpacked(scope),
        audience=_unpacked(audience),
        issued_at=issued_at,
        not_before=not_before,
        expires_at=expires_at,
        revoked_at=revoked_at,
    )


def _add_token(connection: sqlite3.Connection, token: TokenRecord) -> None:
    row = (
        token.digest,
        token.jti,
        token.client_id,
        token.sub,
        token.username,
        _packed(token.scope),
        _packed(token.audience),
        token.issued_at,
        token.not_before,
        token.expires_at,
        token.revoked_at,
    )
    connection.execute(
        """
        INSERT INTO token
        (digest, jti, client_id, sub, username, scope, audience, issued_at, not_before, expires_at, revoked_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """,
        row,
    )


def _revoke_token(connection: sqlite3.Connection, digest: bytes, revoked_at: int) -> None:
    connection.execute("UPDATE token SET revoked_at = ? WHERE digest = ? AND revoked_at IS NULL", (revoked_at, digest))


def _packed(texts: tuple[str, ...]) -> str:
    return json.dumps(texts)


def _unpacked(packed: str) -> tuple[str, ...]:
    texts = json.loads(packed)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("a list column does not hold a list of texts")
    return tuple(texts)
