"""Revocations among processes that share a real Redis: none is missed, whatever happens to Redis."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Protocol

import pytest

from extauthz.core.introspection import Inactive
from extauthz.observe.events import Happening
from extauthz.resolver import revocation_log
from extauthz.resolver.revocation import Kind
from extauthz.testing import active
from support.redis_server import RedisServer
from support.sharing import PATIENT, CountingServer, Worker, settings_for

STREAM = "extauthz:1:revocations"


@pytest.fixture
def redis(running_redis: RedisServer) -> Iterator[RedisServer]:
    yield running_redis
    running_redis.restart()


class Begin(Protocol):
    """Begins another process, which gives Redis so many seconds."""

    def __call__(self, timeout: float = PATIENT) -> Awaitable[Worker]: ...


@pytest.fixture
async def begin(redis: RedisServer) -> AsyncIterator[Begin]:
    """Begin another process: it has read the log."""
    server = CountingServer()
    async with AsyncExitStack() as stack:

        async def one_more(timeout: float = PATIENT) -> Worker:  # noqa: ASYNC109 - of each command
            worker = Worker(settings_for(redis, timeout=timeout), server)
            worker.revocations.current = False
            await stack.enter_async_context(worker)
            await worker.hear()
            return worker

        yield one_more


async def knows(worker: Worker, token: str = "t") -> bool:
    """Whether it answers without asking the server; it knows it afterwards in any case."""
    before = worker.server.asked.total()
    await worker.resolve(token)
    return worker.server.asked.total() == before


@pytest.mark.parametrize(
    ("kind", "name"), [(Kind.TOKEN, "t"), (Kind.SUB, "u1"), (Kind.JTI, "j1"), (Kind.CLIENT_ID, "app"), (Kind.ALL, "")]
)
async def test_what_is_revoked_at_one_is_revoked_at_all(begin: Begin, kind: Kind, name: str) -> None:
    """In their memories and in the shared cache; one question tells all of them the news."""
    one, other, third = await begin(), await begin(), await begin()
    one.server.state = active(sub="u1", jti="j1", client_id="app")
    assert [await knows(worker) for worker in (one, other)] == [False, True]
    one.server.state = Inactive()
    await one.feed.revoke([(kind, name)])
    for worker in (one, other, third):
        await worker.hear()
        assert (await worker.resolve()).state == Inactive()
    assert one.server.asked["t"] == 2


async def test_a_process_that_begins_later_has_heard_of_it(begin: Begin) -> None:
    """A value from before may still lie in Redis."""
    one = await begin()
    await one.resolve()
    await one.feed.revoke([(Kind.SUB, "u1")])
    assert not await knows(await begin())


async def test_a_process_that_begins_later_uses_what_is_good(begin: Begin) -> None:
    """Old notices are no reason to ask."""
    one = await begin()
    for number in range(5):
        await one.feed.revoke([(Kind.SUB, f"somebody-{number}")])
        await one.hear()
    await one.resolve()
    assert await knows(await begin())


async def test_the_first_notice_ever_forgets_nothing_else(begin: Begin) -> None:
    """The log has begun before anything was cached."""
    one, other = await begin(), await begin()
    for worker in (one, other):
        await worker.resolve("other-token")
    await one.feed.revoke([(Kind.TOKEN, "t")])
    for worker in (one, other):
        await worker.hear()
        assert await knows(worker, "other-token")


async def test_a_writer_that_has_not_heard_yet_writes_nothing_usable(begin: Begin) -> None:
    """Its question may have been asked before the notice, and it says so."""
    one, slow = await begin(), await begin()
    await one.feed.revoke([(Kind.SUB, "u1")])
    await slow.resolve()
    assert not await knows(one)


class TestLostLog:
    """A Redis that lost its memory: notices may have been lost with it, so everybody forgets everything, once."""

    @pytest.mark.parametrize("loss", ["flushed", "restarted", "killed"])
    async def test_it_is_noticed(self, redis: RedisServer, begin: Begin, loss: str) -> None:
        """By the next reading, also if no notice was ever written."""
        one, other = await begin(), await begin()
        for worker in (one, other):
            await worker.resolve()
        if loss == "killed":
            redis.kill()
        redis.flush() if loss == "flushed" else redis.restart()
        for worker in (one, other):
            await worker.hear()
        assert [await knows(worker) for worker in (one, other)] == [False, True]
        for worker in (one, other):
            await worker.hear()
            assert await knows(worker)

    async def test_notices_after_it_are_heard(self, redis: RedisServer, begin: Begin) -> None:
        """Whoever writes the first one, and however much of the old log the others had read."""
        old = await begin()
        for number in range(3):
            await old.feed.revoke([(Kind.SUB, f"somebody-{number}")])
        await old.hear()
        redis.flush()
        new = await begin()
        for number in range(10):
            await new.feed.revoke([(Kind.SUB, f"other-{number}")])
        for worker in (old, new):
            await worker.hear()
        assert old.revocations.position == new.revocations.position
        await old.resolve()
        await new.feed.revoke([(Kind.SUB, "u1")])
        await old.hear()
        assert not await knows(old)

    async def test_the_one_who_writes_first_after_it_loses_nothing(self, redis: RedisServer, begin: Begin) -> None:
        """Its own notice, the notice about everything, and those of others all have their places."""
        one, other = await begin(), await begin()
        await one.feed.revoke([(Kind.SUB, "a")])
        for worker in (one, other):
            await worker.hear()
            await worker.resolve()
        redis.flush()
        await one.feed.revoke([(Kind.TOKEN, "x")])
        for worker in (one, other):
            await worker.hear()
            assert (worker.revocations.current, worker.revocations.last("any", Inactive()).number > 1) == (True, True)

    async def test_a_replica_that_lagged_behind(self, redis: RedisServer, begin: Begin) -> None:
        """It took over without the last notices; values from before them are not used by anybody."""
        one = await begin()
        await one.resolve()
        await one.feed.revoke([(Kind.SUB, "u1")])
        await one.hear()
        (last,) = redis.command("XREVRANGE", STREAM, "+", "-", "COUNT", "1")
        values = redis.everything()
        redis.flush()
        for name, dump in values.items():
            if name != STREAM:
                redis.raw("RESTORE", name, "0", dump)
        epoch = last[0].partition("-")[0]
        redis.command("XADD", STREAM, f"{epoch}-1", "all", "")
        await one.hear()
        assert not await knows(await begin())

    async def test_of_a_short_outage_without_loss_nothing_is_forgotten(self, redis: RedisServer, begin: Begin) -> None:
        """The log goes on where it was."""
        one = await begin(2.0)
        await one.resolve()
        redis.pause()
        await one.hear()
        redis.resume()
        await one.hear()
        assert await knows(one)
        told = [event.what for event in one.observer.happenings]
        assert told[-3:] == [
            Happening.REVOCATIONS_CONNECTED,
            Happening.REVOCATIONS_CUT,
            Happening.REVOCATIONS_BACK,
        ]


async def test_a_reader_who_was_away_too_long_forgets_everything(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notices that it missed are not kept any more."""
    monkeypatch.setattr(revocation_log, "MAX_NOTICES", 100)
    one, away = await begin(), await begin()
    await away.resolve("never revoked")
    await one.feed.revoke([(Kind.SUB, f"somebody-{number}") for number in range(1000)])
    await away.hear()
    assert not await knows(away, "never revoked")


async def test_the_log_is_bounded(redis: RedisServer, begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the number of notices that it keeps, and some."""
    monkeypatch.setattr(revocation_log, "MAX_NOTICES", 100)
    one = await begin()
    for _ in range(10):
        await one.feed.revoke([(Kind.SUB, f"somebody-{number}") for number in range(100)])
    assert 100 <= redis.command("XLEN", STREAM) <= 300


async def test_what_stands_in_the_stream_tells_nothing(redis: RedisServer, begin: Begin) -> None:
    """No token, no subject, no client."""
    one = await begin()
    await one.feed.revoke([(Kind.TOKEN, "canary-t"), (Kind.SUB, "canary-s"), (Kind.CLIENT_ID, "canary-c")])
    assert redis.command("XLEN", STREAM) == 4
    assert "canary" not in repr(redis.everything())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda redis: redis.command("SET", STREAM, "x"),
        lambda redis: redis.command("XADD", STREAM, "99999999999999-1", "sub", "x"),
        lambda redis: redis.command("XADD", STREAM, "*", "only-a-field", ""),
    ],
)
async def test_a_stream_that_somebody_else_writes_to_does_no_harm(
    redis: RedisServer, begin: Begin, spoil: Callable[[RedisServer], object]
) -> None:
    """It makes us forget, or stop sharing; never believe."""
    one, other = await begin(), await begin()
    await one.resolve()
    spoil(redis)
    one.server.state = Inactive()
    await other.feed.revoke([(Kind.SUB, "u1")])
    await other.hear()
    assert (await other.resolve()).state == Inactive()


async def test_while_it_cannot_be_read_nothing_is_shared(redis: RedisServer, begin: Begin) -> None:
    """Each process asks for itself, and the operator knows."""
    one, other = await begin(), await begin()
    await one.resolve()
    redis.kill()
    await other.hear()
    assert other.observer.happenings[-1].what is Happening.REVOCATIONS_CUT
    assert not await knows(other)


async def test_notices_from_before_redis_was_back_are_told(redis: RedisServer, begin: Begin) -> None:
    """The one who took it has kept it."""
    one, other = await begin(), await begin()
    redis.kill()
    assert not await one.feed.revoke([(Kind.SUB, "u1")])
    redis.restart()
    await other.hear()
    await other.resolve()
    for worker in (one, other):
        await worker.hear()
    assert not await knows(other)


async def test_ten_processes_hear_a_thousand_notices(begin: Begin) -> None:
    """All of them, in the same order."""
    workers = [await begin() for _ in range(10)]
    await asyncio.gather(
        *(
            worker.feed.revoke([(Kind.SUB, f"{number}-{n}") for n in range(100)])
            for number, worker in enumerate(workers)
        )
    )
    for worker in workers:
        await worker.hear()
        await worker.hear()
    assert len({worker.revocations.position for worker in workers}) == 1
    assert {len(worker.revocations) for worker in workers} == {1000}
