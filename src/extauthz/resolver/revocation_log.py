"""The log of revocations that processes share: a file among the workers of one supervisor, a Redis stream among hosts.

Positions follow each other without gaps, so a reader that finds one missing knows that it missed notices. A log keeps
the latest `MAX_NOTICES`.
"""

import asyncio
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from extauthz.resolver.redis import RedisClient, RedisTrouble
from extauthz.resolver.revocation import ALL, MAX_NOTICES, Kind, Notice

A = TypeVar("A")
R = TypeVar("R")

PAGE: Final = 1000
"""Notices read at once."""

SECONDS: Final = 1.0
"""Time limit for reading and for writing."""


class LogTrouble(Exception):  # noqa: N818 - it names what is met
    """The log cannot be read or written now. The message is for our own log."""


class Logged(NamedTuple):
    """A notice and its position."""

    position: int
    notice: Notice


class RevocationLog(Protocol):
    """Notices in one order for all processes. Both methods raise `LogTrouble` and nothing else."""

    async def append(self, notices: Sequence[Notice], known: int) -> int:
        """Write notices one after the other and return the position of the last. `known`: how far the caller has read."""

    async def read(self, after: int) -> Sequence[Logged]:
        """The notices after a position, at most `PAGE`; those that are not kept any more are missing in front."""

    async def close(self) -> None:
        """Give back what is open."""


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
        return [Logged(position, _notice(kind, value)) for position, kind, value in rows]


_PRELUDE: Final = """
-- KEYS: the stream. ARGV: how far the caller has read, as epoch and number; how many notices to keep; …
local epoch, number = 0, 0
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if newest then
  local e, n = string.match(newest[1], '^(%d+)-(%d+)$')
  epoch, number = tonumber(e), tonumber(n)
end
local function add(kind, value)
  number = number + 1
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], string.format('%.0f-%.0f', epoch, number), kind, value)
end
local known_epoch, known_number = tonumber(ARGV[1]), tonumber(ARGV[2])
if not newest or epoch < known_epoch or (epoch == known_epoch and number < known_number) then
  local time = redis.call('TIME')
  epoch, number = math.max(time[1] * 1000 + math.floor(time[2] / 1000), known_epoch + 1, epoch + 1), 0
  add('all', '')
end
"""

_APPEND: Final = (
    _PRELUDE
    + """
for at = 4, #ARGV, 2 do add(ARGV[at], ARGV[at + 1]) end
return string.format('%.0f-%.0f', epoch, number)
"""
)

_READ: Final = (
    _PRELUDE
    + """
return redis.call('XRANGE', KEYS[1], string.format('%.0f-%.0f', known_epoch, known_number + 1), '+', 'COUNT', ARGV[4])
"""
)

_NUMBER_BITS: Final = 32
_NO_STREAM_OF_OURS: Final = "the stream holds something else than notices of ours: give us another prefix"
_ID: Final = re.compile(rb"([0-9]{1,15})-([0-9]{1,9})")


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


class RedisLog:
    """A log in a Redis stream, for processes of many hosts.

    The id of an entry is an epoch and a number. A stream that is gone, or ends before what its reader has read, is not
    the one it was: Redis has lost its memory, or another server has taken its place. Whoever sees that begins a new epoch
    with a notice about everything, and so everybody forgets everything once.

    Published messages would not do: who is not listening just then would never hear of them.
    """

    def __init__(self, redis: RedisClient, *, prefix: str) -> None:
        self._redis = redis
        self._stream = f"{prefix}:1:revocations"

    async def append(self, notices: Sequence[Notice], known: int) -> int:
        """Write notices one after the other and return the position of the last."""
        words = [word for notice in notices for word in (notice.kind.value, notice.value)]
        return _position(await self._run(_APPEND, known, words))

    async def read(self, after: int) -> Sequence[Logged]:
        """The notices after a position."""
        entries = await self._run(_READ, after, (PAGE,))
        if not isinstance(entries, list):
            raise LogTrouble(_NO_STREAM_OF_OURS)
        return [_logged(entry) for entry in entries]

    async def close(self) -> None:
        """The connections belong to somebody else."""

    async def _run(self, script: str, known: int, arguments: Sequence[str | int]) -> Any:  # noqa: ANN401 - as the script has it
        epoch, number = divmod(known, 1 << _NUMBER_BITS)
        try:
            return await self._redis.run_alone(
                script, (self._stream,), (epoch, number, MAX_NOTICES, *arguments), SECONDS
            )
        except RedisTrouble as trouble:
            raise LogTrouble(str(trouble)) from None


def _logged(entry: Any) -> Logged:  # noqa: ANN401 - whatever is in the stream
    match entry:
        case [bytes(id_), [bytes(kind), bytes(value), *_]]:
            return Logged(_position(id_), _notice(kind.decode("latin-1"), value.decode("latin-1")))
    raise LogTrouble(_NO_STREAM_OF_OURS)


def _position(id_: object) -> int:
    match = _ID.fullmatch(id_) if isinstance(id_, bytes) else None
    if match is None:
        raise LogTrouble("the stream has ids of another kind than ours: give us another prefix")
    return (int(match[1]) << _NUMBER_BITS) + int(match[2])


def _notice(kind: str, value: str) -> Notice:
    """A notice as it was written; one of a kind that only later versions know may be about anything."""
    return Notice(Kind(kind), value) if kind in _KINDS else ALL


_KINDS: Final = frozenset(kind.value for kind in Kind)
