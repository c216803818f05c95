"""Clients and tokens in a SQLite file."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from extauthz.authserver.store.base import ClientRecord, DuplicateClientError, StoreError, TokenRecord, token_digest
from extauthz.authserver.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
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
BARE_TOKEN = TokenRecord(digest=token_digest("bare"), jti="j2", client_id="app", issued_at=1, expires_at=2)


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


@pytest.mark.parametrize("client", [CLIENT, ClientRecord(client_id="bare", secret_hash="h")])
async def test_client_comes_back_as_it_went(store: SqliteStore, client: ClientRecord) -> None:
    """A client that was added is found unchanged, and only under its own id."""
    await store.add_client(client)
    assert await store.find_client(client.client_id) == client
    assert await store.find_client(client.client_id.upper()) is None


@pytest.mark.parametrize("token", [TOKEN, BARE_TOKEN])
async def test_token_comes_back_as_it_went(store: SqliteStore, token: TokenRecord) -> None:
    """A token that was added is found unchanged, and only by its own digest."""
    await store.add_token(token)
    assert await store.find_token(token.digest) == token
    assert await store.find_token(token_digest("another")) is None


async def test_second_client_with_the_id_is_refused(store: SqliteStore) -> None:
    """An id is registered once, and the first registration stays."""
    await store.add_client(CLIENT)
    with pytest.raises(DuplicateClientError):
        await store.add_client(dataclasses.replace(CLIENT, secret_hash="other"))
    assert await store.find_client("rs") == CLIENT


async def test_second_token_with_the_digest_is_a_store_error(store: SqliteStore) -> None:
    """The same digest twice is trouble, not an overwritten token."""
    await store.add_token(TOKEN)
    with pytest.raises(StoreError):
        await store.add_token(dataclasses.replace(TOKEN, client_id="other"))
    assert await store.find_token(TOKEN.digest) == TOKEN


@pytest.mark.shows("S93")
async def test_revocation_is_seen_by_every_replica_at_once(path: Path, store: SqliteStore) -> None:
    """When revoke_token has returned, another open store on the file finds the token revoked."""
    await store.add_token(TOKEN)
    async with SqliteStore(path) as replica:
        assert await replica.find_token(TOKEN.digest) == TOKEN
        await store.revoke_token(TOKEN.digest, revoked_at=1030)
        assert await replica.find_token(TOKEN.digest) == dataclasses.replace(TOKEN, revoked_at=1030)


async def test_first_revocation_stays_and_unknown_ones_do_nothing(store: SqliteStore) -> None:
    """Revoking again or revoking nothing is no error and changes nothing."""
    await store.add_token(TOKEN)
    await store.revoke_token(TOKEN.digest, revoked_at=1030)
    await store.revoke_token(TOKEN.digest, revoked_at=1040)
    await store.revoke_token(token_digest("another"), revoked_at=1040)
    assert await store.find_token(TOKEN.digest) == dataclasses.replace(TOKEN, revoked_at=1030)


async def test_contents_outlive_the_process(path: Path) -> None:
    """What was added is there when the file is opened again."""
    async with SqliteStore(path) as store:
        await store.add_client(CLIENT)
        await store.add_token(TOKEN)
    async with SqliteStore(path) as store:
        assert await store.find_client("rs") == CLIENT
        assert await store.find_token(TOKEN.digest) == TOKEN


@pytest.mark.shows("S92")
def test_file_holds_no_token(path: Path) -> None:
    """The bytes of the database contain the digest and not the token."""

    async def add() -> None:
        async with SqliteStore(path) as store:
            await store.add_token(TOKEN)

    asyncio.run(add())
    contents = path.read_bytes()
    assert b"t0ken" not in contents
    assert TOKEN.digest in contents


async def test_every_file_is_private(path: Path, store: SqliteStore) -> None:
    """The database and its companions are readable by their owner only."""
    await store.add_token(TOKEN)
    modes = {file.name: mode_of(file) for file in path.parent.iterdir()}
    assert modes == {"as.db": 0o600, "as.db-wal": 0o600, "as.db-shm": 0o600}


async def test_existing_file_becomes_private(open_to_others: Path) -> None:
    """A database that others could read is closed to them when it is opened."""
    async with SqliteStore(open_to_others):
        assert mode_of(open_to_others) == 0o600


async def test_schema_has_its_version_and_durable_settings(path: Path, store: SqliteStore) -> None:
    """The file says version 1 and is in WAL mode."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


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
    await store.add_token(TOKEN)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE token SET scope = ?", (column,))
    with pytest.raises(StoreError):
        await store.find_token(TOKEN.digest)


async def test_closed_store_is_a_store_error(path: Path) -> None:
    """After close, which may be called twice, every call fails plainly."""
    store = SqliteStore(path)
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.find_client("rs")


async def test_store_recovers_when_the_trouble_is_over(tmp_path: Path) -> None:
    """A store that could not be opened is opened by a later call."""
    path = tmp_path / "later" / "as.db"
    store = SqliteStore(path)
    with pytest.raises(StoreError):
        await store.find_client("rs")
    path.parent.mkdir()
    assert await store.find_client("rs") is None
    await store.close()


async def test_calls_run_on_one_thread_that_is_not_the_loops(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Concurrent calls share one worker thread; the event loop's own never touches the file."""
    threads: set[int] = set()
    guarded = SqliteStore._guarded  # noqa: SLF001 - where the work happens

    def noted(self: SqliteStore, work: object) -> object:
        threads.add(threading.get_ident())
        return guarded(self, work)  # type: ignore[arg-type]

    monkeypatch.setattr(SqliteStore, "_guarded", noted)
    await asyncio.gather(*(store.find_client(f"c{number}") for number in range(20)))
    assert len(threads) == 1
    assert threading.get_ident() not in threads
