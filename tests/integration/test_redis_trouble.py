"""Redis slow, down, full, locked or read-only: the memory of each process and the server go on, and nobody is denied."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from extauthz.core.introspection import Inactive
from extauthz.core.terms import Terms
from extauthz.core.token import Token
from extauthz.observe.events import Happening
from extauthz.resolver.breaker import State
from extauthz.resolver.redis import RedisTrouble
from extauthz.testing import active
from support.redis_server import RedisServer
from support.sharing import PATIENT, CountingServer, Worker, settings_for

SHORT = 0.05


@pytest.fixture
def redis(running_redis: RedisServer) -> Iterator[RedisServer]:
    yield running_redis
    running_redis.restart()


@asynccontextmanager
async def two_workers(redis: RedisServer, *, limit: float = PATIENT, password: str = "") -> AsyncIterator[list[Worker]]:
    """Both have one token in memory: `known`."""
    server = CountingServer()
    settings = settings_for(redis, timeout=limit, password=password)
    async with AsyncExitStack() as stack:
        workers = [await stack.enter_async_context(Worker(settings, server)) for _ in range(2)]
        for worker in workers:
            await worker.resolve("known")
        yield workers


async def go_on(workers: list[Worker], names: str) -> None:
    """Known tokens are answered from memory, new ones by the server, and revoked ones are found out by it."""
    for worker in workers:
        assert (await worker.resolve("known")).level == "memory"
        for name in names:
            assert (await worker.resolve(name)).level == "server"
        worker.server.state = Inactive()
        assert (await worker.resolve("known", max_age=0)).state == Inactive()
        worker.server.state = active()
        assert (await worker.resolve("known", max_age=0)).state == active()


async def test_killed(redis: RedisServer) -> None:
    """And when it is back, it is used again, without a restart of ours."""
    async with two_workers(redis) as workers:
        redis.kill()
        await go_on(workers, "abcdef")
        assert {worker.breaker.state for worker in workers} == {State.OPEN}
        redis.restart()
        for worker in workers:
            worker.pass_time(10.0)
        assert [(await worker.resolve("new")).level for worker in workers] == ["server", "shared"]


async def test_paused(redis: RedisServer) -> None:
    """The connection stands and nothing comes: a few commands wait for their time limit, then none."""
    async with two_workers(redis, limit=SHORT) as workers:
        redis.pause()
        await go_on(workers, "abcdef")
        assert {worker.breaker.state for worker in workers} == {State.OPEN}
        redis.resume()
        for worker in workers:
            worker.pass_time(10.0)
            await worker.redis.run_alone("return 1", (), (), PATIENT)
        assert await share_again(workers)


async def share_again(workers: list[Worker]) -> bool:
    """Whether what one learns the other finds, at last: with so short a limit, a busy machine may miss it now and then."""
    for number in range(100):
        if [(await worker.resolve(f"new-{number}")).level for worker in workers] == ["server", "shared"]:
            return True
        for worker in workers:
            worker.pass_time(10.0)
    return False


async def test_full(redis: RedisServer) -> None:
    """What cannot be written is not written; what is there is read; the operator is told."""
    async with two_workers(redis) as (one, other):
        await one.resolve("before")
        redis.command("CONFIG", "SET", "maxmemory", "1mb")
        assert (await other.resolve("before")).level == "shared"
        await go_on([one, other], "abcdef")
        told = [event.what for event in one.observer.happenings]
        assert told == [Happening.SHARED_CACHE_FULL]
        assert one.breaker.state is State.CLOSED


async def test_full_it_does_not_keep_an_answer_that_is_outdated(redis: RedisServer) -> None:
    """Removing takes no room."""
    async with two_workers(redis) as (one, other):
        await one.resolve("t")
        redis.command("CONFIG", "SET", "maxmemory", "1mb")
        one.pass_time(1.0)
        one.server.state = Inactive()
        await one.resolve("t", max_age=0)
        assert (await other.resolve("t")).state == Inactive()


async def test_flushed_under_load(redis: RedisServer) -> None:
    """Whatever is lost is asked for again."""
    async with two_workers(redis) as workers:
        for _ in range(20):
            flushing = asyncio.create_task(asyncio.to_thread(redis.flush))
            answers = await asyncio.gather(*(worker.resolve(f"t{n}") for worker in workers for n in range(20)))
            await flushing
            assert [answer.state for answer in answers] == [active()] * 40
            for worker in workers:
                worker.pass_time(61.0)


async def test_a_read_only_replica(redis: RedisServer) -> None:
    """As after a failover that the client has not followed."""
    async with two_workers(redis) as workers:
        redis.command("REPLICAOF", "127.0.0.1", "1")
        await go_on(workers, "abcdef")


async def test_a_wrong_password(redis: RedisServer) -> None:
    """It is in no message."""
    redis.command("CONFIG", "SET", "requirepass", "right")
    async with two_workers(redis, password="canary-wrong") as workers:
        await go_on(workers, "abcdef")
        with pytest.raises(RedisTrouble) as trouble:
            await workers[0].redis.run_alone("return 1", (), (), PATIENT)
        assert "invalid username-password pair" in str(trouble.value)
        assert "canary" not in str(trouble.value)


async def test_another_password_when_it_is_back(redis: RedisServer) -> None:
    """The operator is told of it too, and does not go on looking for a server that is down."""
    async with Worker(settings_for(redis), CountingServer()) as one:
        redis.kill()
        await one.hear()
        redis.start()
        redis.command("CONFIG", "SET", "requirepass", "right")
        await one.hear()
        told = [(event.what, event.detail.partition(":")[0]) for event in one.observer.happenings]
    cut = Happening.REVOCATIONS_CUT
    assert told == [(cut, "ConnectionError"), (cut, "AuthenticationError")]


async def test_closing_while_it_hangs(redis: RedisServer) -> None:
    """Nobody waits for it then."""
    async with two_workers(redis) as (one, _):
        redis.pause()
        asking = asyncio.create_task(one.resolver.resolve("main", Token("t"), Terms()))
        await asyncio.sleep(0.01)
        await one.redis.close()
        assert (await asking).level == "server"
        redis.resume()
