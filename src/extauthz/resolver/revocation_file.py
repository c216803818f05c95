"""The log of revocations that the workers of one supervisor share: a database file in their folder."""

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from extauthz.resolver.revocation import MAX_NOTICES, Notice
from extauthz.resolver.revocation_log import PAGE, SECONDS, Logged, LogTrouble, read_notice

A = TypeVar("A")
R = TypeVar("R")


class FileLog:
    """A log in a database file, for processes of one host."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = asyncio.Lock()
        self._database: sqlite3.Connection | None = None

    async def append(self, notices: Sequence[Notice], known: int) -> int:  # noqa: ARG002 - this log loses nothing
        """Write notices one after the other and return the position of the last."""
        return await self._run(self._append, notices)

    async def read(self, after: int) -> Sequence[Logged]:
        """The notices after a position."""
        return await self._run(self._read, after)

    async def close(self) -> None:
        """Close the file."""
        async with self._lock:
            if self._database is not None:
                self._database.close()

    async def _run(self, work: Callable[[A], R], argument: A) -> R:
        async with self._lock:
            try:
                return await asyncio.to_thread(work, argument)
            except sqlite3.Error as error:
                raise LogTrouble(f"{self._path}: {error}") from None

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            self._database = sqlite3.connect(self._path, timeout=SECONDS, isolation_level=None, check_same_thread=False)
            _let_readers_and_writers_be(self._database)
            self._database.execute("PRAGMA synchronous = OFF")  # it need not survive the host
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS notice"
                " (position INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, value TEXT NOT NULL)"
            )
        return self._database

    def _append(self, notices: Sequence[Notice]) -> int:
        database = self._open()
        database.execute("BEGIN IMMEDIATE")
        try:
            last = 0
            for kind, value in notices:
                row = database.execute("INSERT INTO notice (kind, value) VALUES (?, ?)", (kind.value, value))
                last = row.lastrowid or 0
            database.execute("DELETE FROM notice WHERE position <= ?", (last - MAX_NOTICES,))
            database.execute("COMMIT")
        except BaseException:
            database.execute("ROLLBACK")
            raise
        return last

    def _read(self, after: int) -> Sequence[Logged]:
        query = "SELECT position, kind, value FROM notice WHERE position > ? ORDER BY position LIMIT ?"
        rows = self._open().execute(query, (after, PAGE)).fetchall()
        return [Logged(position, read_notice(kind, value)) for position, kind, value in rows]


def _let_readers_and_writers_be(database: sqlite3.Connection) -> None:
    """Switch to WAL. Processes that meet at this switch are told so at once: the time limit does not cover it."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            database.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
