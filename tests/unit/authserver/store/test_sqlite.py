"""What is special about a SQLite file; what every store promises is in `test_contract`."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from extauthz.authserver.store import sqlite
from extauthz.authserver.store.base import ClientRecord, StoreError, TokenRecord, token_digest
from extauthz.authserver.store.sqlite import SqliteDatabase, SqliteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

CLIENT = ClientRecord(
    client_id="rs", secret_hash="$2b$04$x", can_introspect=True, audiences=("a", "b"), scopes=("x", "y")
)
TOKEN = TokenRecord(
    digest=token_digest("t0ken"),
    jti="j1",
    client_id="app",
    sub="u1",
    username="jdoe",
    scope=("x", "y"),
    audience=("a", "b"),
    issued_at=1000,
    not_before=1001,
    expires_at=1060,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "as.db"


@pytest.fixture
def open_to_others(path: Path) -> Path:
    path.touch()
    path.chmod(0o644)
    return path


@pytest.fixture
def no_database(path: Path) -> Path:
    path.write_bytes(b"not a database, but long enough to be looked at" * 100)
    return path


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore(path) as store:
        yield store


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_records_do_not_print_what_could_be_attacked() -> None:
    """Neither the hash of a secret nor the digest of a token is in a repr."""
    assert CLIENT.secret_hash not in repr(CLIENT)
    assert repr(TOKEN.digest) not in repr(TOKEN)


async def test_contents_outlive_the_process(path: Path) -> None:
    """What was added is there when the file is opened again."""
    async with SqliteStore(path) as store:
        await store.add_client(CLIENT)
        await store.add_tokens(TOKEN)
    async with SqliteStore(path) as store:
        assert await store.find_client("rs") == CLIENT
        assert await store.find_token(TOKEN.digest) == TOKEN


@pytest.mark.shows("S92")
def test_file_holds_no_token(path: Path) -> None:
    """The bytes of the database contain the digest and not the token."""

    async def add() -> None:
        async with SqliteStore(path) as store:
            await store.add_tokens(TOKEN)

    asyncio.run(add())
    contents = path.read_bytes()
    assert b"t0ken" not in contents
    assert TOKEN.digest in contents


async def test_every_file_is_private(path: Path, store: SqliteStore) -> None:
    """The database and its companions are readable by their owner only."""
    await store.add_tokens(TOKEN)
    modes = {file.name: mode_of(file) for file in path.parent.iterdir()}
    assert modes == {"as.db": 0o600, "as.db-wal": 0o600, "as.db-shm": 0o600}


async def test_existing_file_becomes_private(open_to_others: Path) -> None:
    """A database that others could read is closed to them when it is opened."""
    async with SqliteStore(open_to_others):
        assert mode_of(open_to_others) == 0o600


async def test_schema_has_its_version_and_durable_settings(path: Path, store: SqliteStore) -> None:
    """The file says version 3 and is in WAL mode."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


VERSION_1 = """
CREATE TABLE client (client_id TEXT PRIMARY KEY, secret_hash TEXT NOT NULL,
    can_introspect INTEGER NOT NULL CHECK (can_introspect IN (0, 1)), audiences TEXT NOT NULL, scopes TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
CREATE TABLE token (digest BLOB PRIMARY KEY CHECK (length(digest) = 32), jti TEXT NOT NULL, client_id TEXT NOT NULL,
    sub TEXT, username TEXT, scope TEXT NOT NULL, audience TEXT NOT NULL, issued_at INTEGER NOT NULL, not_before INTEGER,
    expires_at INTEGER NOT NULL, revoked_at INTEGER) STRICT, WITHOUT ROWID;
INSERT INTO client VALUES ('rs', '$2b$04$x', 1, '["a", "b"]', '["x", "y"]');
PRAGMA user_version = 1;
"""


async def test_a_file_of_the_first_version_is_brought_up_to_date(path: Path) -> None:
    """What it held is still there, and new tokens are kept."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1)
        values = (TOKEN.digest, "j1", "app", "u1", "jdoe", '["x", "y"]', '["a", "b"]', 1000, 1001, 1060, None)
        connection.execute("INSERT INTO token VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        connection.commit()
    async with SqliteStore(path) as store:
        assert await store.find_client("rs") == CLIENT
        assert await store.find_token(TOKEN.digest) == TOKEN
        await store.add_tokens(dataclasses.replace(TOKEN, digest=token_digest("new"), family="f"))


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("SELECT 1 FROM client WHERE client_id = ?", "PRIMARY KEY"),
        ("SELECT 1 FROM token WHERE digest = ?", "PRIMARY KEY"),
        ("SELECT 1 FROM token WHERE jti = ?", "token_by_jti"),
        ("SELECT 1 FROM token WHERE family = ?", "token_by_family"),
        ("SELECT 1 FROM token WHERE sub = ? ORDER BY issued_at DESC", "token_by_sub"),
        ("SELECT 1 FROM token WHERE client_id = ? ORDER BY issued_at DESC", "token_by_client"),
        ("SELECT 1 FROM token WHERE expires_at < ? LIMIT 5", "token_by_expiry"),
        ("SELECT 1 FROM assertion WHERE expires_at < ?", "assertion_by_expiry"),
        ("SELECT id FROM event WHERE at < ? LIMIT 5", "event_by_time"),
        ("SELECT id FROM notice WHERE expires_at < ? LIMIT 5", "notice_by_expiry"),
    ],
)
async def test_every_look_up_has_an_index(path: Path, store: SqliteStore, query: str, index: str) -> None:
    """No question makes the database read a whole table."""
    await store.open()
    with closing(sqlite3.connect(path)) as connection:
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", ("x",))]
    assert len(plan) == 1
    assert "SEARCH" in plan[0]
    assert index in plan[0]


_WRITER = """
import asyncio, sys
from extauthz.authserver.admin import issue_token
from extauthz.authserver.store.sqlite import SqliteDatabase, SqliteStore

async def main() -> None:
    async with SqliteStore(sys.argv[1]) as store:
        while True:
            token, _ = await issue_token(store, client_id="app", ttl_seconds=60, now=1000)
            print(token, flush=True)

asyncio.run(main())
"""


def tokens_of_a_killed_writer(path: Path) -> list[str]:
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        acknowledged = [writer.stdout.readline().strip() for _ in range(20)]
        writer.kill()
        return acknowledged + [line.strip() for line in writer.stdout if line.endswith("\n")]


async def test_a_killed_process_loses_nothing_that_it_acknowledged(path: Path) -> None:
    """`kill -9` in the middle of writing: every token that was handed out is there."""
    acknowledged = await asyncio.to_thread(tokens_of_a_killed_writer, path)
    async with SqliteStore(path) as store:
        found = [await store.find_token(token_digest(token)) for token in acknowledged]
    assert None not in found


async def test_a_backup_is_a_whole_private_copy(path: Path, store: SqliteStore, tmp_path: Path) -> None:
    """Taken while the file is in use; an existing file is not overwritten."""
    await store.add_tokens(TOKEN)
    copy = tmp_path / "copy.db"
    await store.backup(copy)
    assert mode_of(copy) == 0o600
    async with SqliteStore(copy) as restored:
        assert await restored.find_token(TOKEN.digest) == TOKEN
    with pytest.raises(StoreError, match="exists"):
        await store.backup(copy)


async def test_a_backup_that_fails_leaves_no_file(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a copy must not be taken for a whole one, nor stand in the way of the next."""
    await store.add_tokens(TOKEN)

    def full(*_arguments: object, **_options: object) -> sqlite3.Connection:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", full)
        with pytest.raises(StoreError, match="disk is full"):
            await store.backup(tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


async def test_schema_from_the_future_is_refused(path: Path) -> None:
    """A file that a newer program wrote is not touched."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError, match="schema 99"):
        await SqliteStore(path).__aenter__()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)


async def test_many_may_open_a_new_file_at_once(path: Path) -> None:
    """Stores that meet at an empty path agree on one schema."""
    stores = [SqliteStore(path) for _ in range(8)]
    await asyncio.gather(*(store.open() for store in stores))
    await stores[0].add_client(CLIENT)
    assert [await store.find_client("rs") for store in stores] == [CLIENT] * 8
    await asyncio.gather(*(store.close() for store in stores))


async def test_file_that_is_no_database_is_a_store_error(no_database: Path) -> None:
    """Foreign errors of the database come out as StoreError with the path."""
    with pytest.raises(StoreError, match=r"as\.db"):
        await SqliteStore(no_database).__aenter__()


async def test_missing_directory_is_a_store_error(tmp_path: Path) -> None:
    """Foreign errors of the file system come out as StoreError."""
    with pytest.raises(StoreError):
        await SqliteStore(tmp_path / "missing" / "as.db").__aenter__()


@pytest.mark.parametrize("column", ["not json", "{}", "[1]"])
async def test_damaged_row_is_a_store_error(path: Path, store: SqliteStore, column: str) -> None:
    """A row that does not say what it should is trouble, not an empty scope."""
    await store.add_tokens(TOKEN)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE token SET scope = ?", (column,))
    with pytest.raises(StoreError):
        await store.find_token(TOKEN.digest)


async def test_a_damaged_row_is_nobody_elses_trouble(path: Path, store: SqliteStore) -> None:
    """Who asks about another token at the same time gets an answer."""
    other = dataclasses.replace(TOKEN, digest=token_digest("other"), jti="other")
    await store.add_tokens(TOKEN, other)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE token SET scope = '{}' WHERE jti = 'other'")
    asked = (store.find_token(token.digest) for token in (TOKEN, other))
    found, trouble = await asyncio.gather(*asked, return_exceptions=True)
    assert (found, type(trouble)) == (TOKEN, StoreError)


async def test_store_recovers_when_the_trouble_is_over(tmp_path: Path) -> None:
    """A store that could not be opened is opened by a later call."""
    path = tmp_path / "later" / "as.db"
    store = SqliteStore(path)
    with pytest.raises(StoreError):
        await store.find_client("rs")
    path.parent.mkdir()
    assert await store.find_client("rs") is None
    await store.close()


async def test_reads_and_changes_have_a_thread_each_that_is_not_the_loops(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Concurrent calls share two worker threads; the event loop's own reads single rows by their key and no more."""
    threads: list[int] = []
    guarded = sqlite._Lane._guarded  # noqa: SLF001 - where the work happens

    def noted(self: sqlite._Lane, work: Callable[[sqlite3.Connection], object]) -> object:
        threads.append(threading.get_ident())
        return guarded(self, work)

    monkeypatch.setattr(sqlite._Lane, "_guarded", noted)  # noqa: SLF001 - same
    await asyncio.gather(*(store.list_tokens(sub=f"u{number}") for number in range(20)))
    assert len(set(threads)) == 1
    await asyncio.gather(*(store.revoke_token(bytes(32), revoked_at=1) for _ in range(5)))
    assert len(set(threads)) == 2
    assert threading.get_ident() not in threads


async def test_a_change_that_takes_long_holds_up_no_read(store: SqliteStore, path: Path) -> None:
    """While another process writes, a change waits and reads go on."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    change = asyncio.create_task(store.revoke_token(bytes(32), revoked_at=1))
    for _ in range(10):
        assert await store.find_token(bytes(32)) is None
    assert not change.done()
    other.execute("COMMIT")
    await change
    other.close()


class TestOneRowByItsKey:
    """It is read in the thread of the event loop, as soon as a lane has the file open."""

    async def test_no_lane_is_asked(self, store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
        """A trip to a thread and back takes longer than the row."""
        await store.open()
        await store.add_client(CLIENT)
        await store.add_tokens(TOKEN)

        async def refuse(*_: object) -> list[object]:
            raise AssertionError("a lane was asked")

        monkeypatch.setattr(SqliteDatabase, "read", refuse)
        assert await store.find_client(CLIENT.client_id) == CLIENT
        assert await store.find_token(TOKEN.digest) == TOKEN
        assert (await store.find_client("nobody"), await store.find_token(token_digest("nothing"))) == (None, None)

    async def test_what_another_process_changed_is_seen(self, store: SqliteStore, path: Path) -> None:
        """Each read begins after all that had been committed."""
        await store.add_tokens(TOKEN)
        await store.open()
        assert (await store.find_token(TOKEN.digest)) == TOKEN
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("UPDATE token SET revoked_at = 5")
            connection.commit()
        assert (await store.find_token(TOKEN.digest)) == dataclasses.replace(TOKEN, revoked_at=5)

    async def test_somebody_who_writes_is_not_waited_for(self, store: SqliteStore, path: Path) -> None:
        """The row is as it was before."""
        await store.add_tokens(TOKEN)
        await store.open()
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("UPDATE token SET revoked_at = 5")
            assert await store.find_token(TOKEN.digest) == TOKEN
            connection.execute("ROLLBACK")

    async def test_trouble_is_told_by_the_lane(self, store: SqliteStore, path: Path) -> None:
        """In its words; the event loop waits for nobody meanwhile."""
        await store.add_tokens(TOKEN)
        await store.open()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("ALTER TABLE token RENAME TO gone")
        with pytest.raises(StoreError, match="no such table"):
            await store.find_token(TOKEN.digest)
