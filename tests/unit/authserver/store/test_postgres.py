"""What is special about PostgreSQL; what every store promises is in `test_contract`."""

from __future__ import annotations

import asyncio
import dataclasses
import re
from contextlib import closing
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from extauthz.authserver.store import postgres
from extauthz.authserver.store.base import StoreError, TokenRecord, token_digest
from extauthz.authserver.store.postgres import SCHEMA, PostgresStore, migrate
from support.postgres_server import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = TokenRecord(digest=token_digest("t"), jti="j", client_id="app", sub="u", issued_at=1, expires_at=2, family="f")
ATTEMPTS = 600


@pytest.fixture(scope="module")
def own_server() -> Iterator[PostgresServer]:
    """A server that tests may break."""
    with PostgresServer() as server:
        yield server


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    for statement in statements:
        await connection.execute(statement)
    await connection.close()


async def until_it_answers(store: PostgresStore) -> None:
    for _ in range(ATTEMPTS):
        try:
            await store.find_token(TOKEN.digest)
        except StoreError:
            await asyncio.sleep(0.05)
        else:
            return


async def test_the_schema_is_brought_up_to_date_by_command_alone(postgres_url: str) -> None:
    """A server that finds no schema says what to type; migrating twice, or two at a time, does no harm."""
    await execute(postgres_url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    with pytest.raises(StoreError, match="run extauthz authserver migrate"):
        await PostgresStore(postgres_url).__aenter__()
    done = await asyncio.gather(migrate(postgres_url), migrate(postgres_url))
    assert sorted(done) == [(0, SCHEMA), (SCHEMA, SCHEMA)]
    async with PostgresStore(postgres_url) as store:
        await store.add_tokens(TOKEN)


async def test_a_database_of_the_first_version_is_brought_up_to_date(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then a server says what to type; what it held is still there, and revocations are told."""
    await execute(postgres_url, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
    with monkeypatch.context() as before:
        before.setattr(postgres, "_MIGRATIONS", postgres._MIGRATIONS[:1])  # noqa: SLF001 - as it was
        before.setattr(postgres, "SCHEMA", 1)
        assert await migrate(postgres_url) == (0, 1)
        async with PostgresStore(postgres_url) as store:
            await store.add_tokens(TOKEN)
    with pytest.raises(StoreError, match="run extauthz authserver migrate"):
        await PostgresStore(postgres_url).__aenter__()
    assert await migrate(postgres_url) == (1, SCHEMA)
    async with PostgresStore(postgres_url) as store:
        assert await store.find_token(TOKEN.digest) == TOKEN
        await store.revoke_token(TOKEN.digest, revoked_at=1030)
        assert [notice.name for notice in await store.list_notices(limit=9)] == [TOKEN.jti]


async def test_a_schema_from_the_future_is_refused(postgres_url: str) -> None:
    """Neither served nor touched."""
    await execute(postgres_url, f"INSERT INTO schema_version VALUES ({SCHEMA + 1})")  # noqa: S608 - a number of ours
    with pytest.raises(StoreError, match="a newer extauthz"):
        await PostgresStore(postgres_url).__aenter__()
    with pytest.raises(StoreError, match=f"schema {SCHEMA + 1}"):
        await migrate(postgres_url)


@pytest.mark.parametrize(
    ("condition", "index"),
    [
        ("token WHERE digest = '\\x00'", "token_pkey"),
        ("client WHERE client_id = 'x'", "client_pkey"),
        ("token WHERE jti = 'x'", "token_by_jti"),
        ("token WHERE family = 'x'", "token_by_family"),
        ("token WHERE sub = 'x' ORDER BY issued_at DESC", "token_by_sub"),
        ("token WHERE client_id = 'x' ORDER BY issued_at DESC", "token_by_client"),
        ("token WHERE expires_at < 5 LIMIT 5", "token_by_expiry"),
        ("event WHERE at < 5 LIMIT 5", "event_by_time"),
        ("notice WHERE expires_at < 5 LIMIT 5", "notice_by_expiry"),
    ],
)
async def test_every_look_up_has_an_index(postgres_url: str, condition: str, index: str) -> None:
    """With the planner told that reading a whole table is dear, as it is for a large one."""
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("SET enable_seqscan = off")
    plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN SELECT 1 FROM {condition}"))  # noqa: S608 - ours
    await connection.close()
    assert index in plan


async def test_what_is_exchanged_during_a_revocation_falls_with_its_family(postgres_url: str) -> None:
    """The revocation waits for an exchange that holds the refresh token, and then finds what came of it."""
    successor = dataclasses.replace(TOKEN, digest=token_digest("next"), jti="k")
    async with PostgresStore(postgres_url) as store:
        await store.add_tokens(TOKEN)
        exchange = await asyncpg.connect(postgres_url)
        async with exchange.transaction():
            await exchange.execute("UPDATE token SET used_at = 1 WHERE digest = $1", TOKEN.digest)
            revocation = asyncio.create_task(store.revoke_tokens(family="f", revoked_at=2))
            await until_somebody_waits(exchange)
            columns = "digest, jti, client_id, sub, scope, audience, issued_at, expires_at, kind, family"
            copied = columns.replace("digest, jti", "$1, 'k'")
            await exchange.execute(f"INSERT INTO token ({columns}) SELECT {copied} FROM token", successor.digest)  # noqa: S608 - ours
        await exchange.close()
        assert await revocation == 2
        found = await store.find_token(successor.digest)
    assert found == dataclasses.replace(successor, revoked_at=2)


async def until_somebody_waits(connection: asyncpg.Connection[Any]) -> None:
    for _ in range(ATTEMPTS):
        if await connection.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("nobody waits")


async def until_nobody_holds_a_transaction(connection: asyncpg.Connection[Any]) -> None:
    """One that lost its client lets go of its locks first, and is gone a moment later."""
    held = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
    for _ in range(ATTEMPTS):
        if not await connection.fetchval(held):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("a transaction is still open")


async def test_a_server_that_is_away_is_a_store_error_without_the_password() -> None:
    """The message is for the log: it names the server and the database, and nothing else of the URL."""
    store = PostgresStore("postgresql://user:hunter2@127.0.0.1:9/none?application_name=geheim")
    with pytest.raises(StoreError) as caught:
        await store.find_client("rs")
    assert str(caught.value).startswith("PostgreSQL at 127.0.0.1:9/none: ConnectionRefusedError: ")
    assert not re.search("hunter2|user|geheim", str(caught.value))


async def test_a_restarted_server_is_used_again(own_server: PostgresServer) -> None:
    """Killed under load: errors while it is away, then answers without a restart of ours, and nothing acknowledged is lost."""
    await migrate(own_server.url)
    async with PostgresStore(own_server.url) as store:
        kept: list[TokenRecord] = []

        async def write(number: int) -> None:
            token = dataclasses.replace(TOKEN, digest=token_digest(f"t{number}"))
            await store.add_tokens(token)
            kept.append(token)

        writes = [asyncio.create_task(write(number)) for number in range(100)]
        await asyncio.wait(writes[:20])
        own_server.kill()
        results = await asyncio.gather(*writes, return_exceptions=True)
        assert {type(result) for result in results} <= {type(None), StoreError}
        with pytest.raises(StoreError):
            await store.find_token(TOKEN.digest)
        await asyncio.to_thread(own_server.start)
        await until_it_answers(store)
        assert [await store.find_token(token.digest) for token in kept] == kept


def test_a_store_may_be_closed_before_it_was_used() -> None:
    """Nothing was opened, nothing is left."""
    with closing(asyncio.new_event_loop()) as loop:
        loop.run_until_complete(PostgresStore("postgresql://nowhere").close())


async def test_a_look_up_is_one_round_trip(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is said to the database before or after it; a connection has no state that would have to be reset."""
    said: list[str] = []

    def note(_self: object, query: str, *_: object, **__: object) -> None:
        said.append(query)

    async with PostgresStore(postgres_url) as store:
        await store.add_tokens(TOKEN)
        assert await store.find_token(TOKEN.digest) == TOKEN
        monkeypatch.setattr(asyncpg.Connection, "execute", note)
        assert await store.find_token(TOKEN.digest) == TOKEN
    assert said == []


async def test_look_ups_keep_a_connection_until_one_is_given_up(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After that the next has a new one: no late answer is taken for its own."""
    opened: list[object] = []
    connect = asyncpg.connect

    async def counted(url: str) -> object:
        opened.append(await connect(url))
        return opened[-1]

    async with PostgresStore(postgres_url) as store:
        other = await connect(postgres_url)
        await store.add_tokens(TOKEN)
        monkeypatch.setattr(asyncpg, "connect", counted)
        assert [await store.find_token(TOKEN.digest) for _ in range(3)] == [TOKEN] * 3
        assert len(opened) == 1
        async with other.transaction():
            await other.execute("LOCK TABLE token")
            monkeypatch.setattr("extauthz.authserver.store.postgres.COMMAND_SECONDS", 0.1)
            with pytest.raises(StoreError, match="did not answer"):
                await store.find_token(TOKEN.digest)
        monkeypatch.undo()
        monkeypatch.setattr(asyncpg, "connect", counted)
        assert [await store.find_token(TOKEN.digest) for _ in range(3)] == [TOKEN] * 3
        await other.close()
    assert len(opened) == 2


async def test_an_abandoned_change_leaves_nothing_behind(postgres_url: str) -> None:
    """Whoever gets its connection next finds no transaction, and no lock is held."""
    async with PostgresStore(postgres_url) as store:
        await store.add_tokens(TOKEN)
        other = await asyncpg.connect(postgres_url)
        async with other.transaction():
            await other.execute("UPDATE token SET used_at = 1")
            waiting = asyncio.create_task(store.revoke_token(TOKEN.digest, revoked_at=2))
            await until_somebody_waits(other)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        await store.revoke_token(TOKEN.digest, revoked_at=3)
        found = await store.find_token(TOKEN.digest)
        await until_nobody_holds_a_transaction(other)
        await other.close()
    assert found is not None
    assert found.revoked_at == 3
