"""The kinds of store: every promise of `Store` is tested on each."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg
import pytest

from extauthz.authserver.store import postgres as postgres_store, sqlite
from extauthz.authserver.store.postgres import PostgresStore, migrate
from extauthz.authserver.store.sqlite import MemoryStore, SqliteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from extauthz.authserver.store.base import Store
    from support.postgres_server import PostgresServer


@pytest.fixture(autouse=True)
def patience() -> Iterator[None]:
    """How long a store waits for a busy file or server is not what is tested, and a busy machine may need longer."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 40.0)
        patched.setattr(postgres_store, "COMMAND_SECONDS", 40.0)
        yield


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> str:
    """An empty database with the schema of today."""
    asyncio.run(_renew(postgres.url))
    return postgres.url


async def _renew(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.close()
    await migrate(url)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Opens the same storage each time; in memory there is only one store."""
    if request.param == "memory":
        memory = MemoryStore()
        return lambda: memory
    if request.param == "sqlite":
        return lambda: SqliteStore(tmp_path / "as.db")
    url = request.getfixturevalue("postgres_url")
    return lambda: PostgresStore(url)


@pytest.fixture
async def replicas(opener: Callable[[], Store]) -> AsyncIterator[Callable[[], Store]]:
    """The same, closed at the end."""
    opened: list[Store] = []

    def replica() -> Store:
        opened.append(opener())
        return opened[-1]

    yield replica
    for store in opened:
        await store.close()


@pytest.fixture
def store(replicas: Callable[[], Store]) -> Store:
    """One of them."""
    return replicas()
