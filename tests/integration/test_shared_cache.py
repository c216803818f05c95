"""Several processes and one real Redis: what one has learnt the others know, and Redis is believed in nothing."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from extauthz.core.decision import Reason
from extauthz.core.introspection import Inactive, TokenState, Unavailable
from extauthz.core.terms import Terms
from extauthz.core.token import Token
from extauthz.observe.events import Happening
from extauthz.resolver.redis import RedisClient
from extauthz.resolver.revocation import ALL, Kind, Notice
from extauthz.resolver.sealing import Keys
from extauthz.resolver.shared_cache import LEASE_MARGIN_SECONDS
from extauthz.testing import active
from support.redis_server import RedisServer
from support.sharing import KEYS, NOW, SETTINGS, CountingServer, Worker, settings_for

OLD_KEYS = Keys.derive(b"o" * 32)
TROUBLE = Unavailable(reason=Reason.SERVER_TIMEOUT, detail="no answer")


class Bench:
    """Processes that share Redis and the authorization server."""

    def __init__(self, redis: RedisServer, stack: AsyncExitStack) -> None:
        self.redis = redis
        self.server = CountingServer()
        self._stack = stack

    async def worker(self, **changes: Any) -> Worker:  # noqa: ANN401 - as Worker takes them
        """One more process."""
        worker = Worker(settings_for(self.redis), self.server, **changes)
        return await self._stack.enter_async_context(worker)

    async def workers(self, count: int) -> list[Worker]:
        """Some more."""
        return [await self.worker() for _ in range(count)]

    @property
    def questions(self) -> int:
        """How often the server was asked."""
        return self.server.asked.total()

    def value_name(self) -> str:
        """The name of the only value."""
        (name,) = [name for name in self.names() if not name.endswith(":lease")]
        return name

    def names(self) -> list[str]:
        """Of values and leases."""
        return self.redis.keys()

    def value(self) -> bytes:
        """The only value, as it is."""
        value: bytes = self.redis.raw("GET", self.value_name())
        return value


@pytest.fixture
async def bench(redis: RedisServer) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        yield Bench(redis, stack)


@pytest.mark.parametrize(
    "state",
    [
        active(sub="u1", jti="j", client_id="app", exp=NOW + 50, aud=("x",)),
        Inactive(),
        Inactive(reason=Reason.WRONG_ISSUER),
    ],
)
async def test_what_one_has_learnt_the_others_know(bench: Bench, state: TokenState) -> None:
    """To the last member; and they keep it in their own memory."""
    one, other = await bench.workers(2)
    bench.server.state = state
    assert (await one.resolve()).level == "server"
    found = await other.resolve()
    assert (found.state, found.level) == (state, "shared")
    assert (await other.resolve()).level == "memory"
    assert bench.questions == 1


@pytest.mark.parametrize("state", [TROUBLE, Inactive(cacheable=False), active(exp=NOW - 1)])
@pytest.mark.shows("S36")
async def test_what_may_not_be_repeated_is_not_shared(bench: Bench, state: TokenState) -> None:
    """Trouble least of all; and no lease is left behind."""
    one, other = await bench.workers(2)
    bench.server.state = state
    for worker in (one, other):
        assert (await worker.resolve()).level == "server"
    assert bench.names() == []


class TestLifetime:
    """However it came here, an answer lives no longer than it would have where it was learnt."""

    @pytest.mark.parametrize(
        ("state", "lifetime"),
        [(active(), 60), (active(exp=NOW + 45), 45), (Inactive(), 10), (active(nbf=NOW + 9), 9)],
    )
    @pytest.mark.shows("S32")
    async def test_it_counts_from_the_question(self, bench: Bench, state: TokenState, lifetime: int) -> None:
        """In the other process too."""
        one, other = await bench.workers(2)
        bench.server.state = state
        await one.resolve()
        other.pass_time(lifetime - 0.1)
        found = await other.resolve()
        assert found.level == "shared"
        assert found.fresh_until - other.monotonic.now == pytest.approx(0.1, abs=0.002)
        other.pass_time(0.2)
        assert (await other.resolve()).level == "server"

    @pytest.mark.parametrize(("exp", "seconds"), [(None, 60), (NOW + 1000, 60), (NOW + 27, 27)])
    @pytest.mark.shows("S32")
    async def test_redis_drops_it_in_time(self, bench: Bench, exp: float | None, seconds: int) -> None:
        """Also if no process ever looks at it again."""
        worker = await bench.worker()
        bench.server.state = active(exp=exp)
        begun = time.monotonic()
        await worker.resolve()
        left = bench.redis.command("PTTL", bench.value_name()) / 1000
        assert seconds - 0.1 <= left + (time.monotonic() - begun)
        assert left <= seconds

    async def test_a_shorter_ttl_here_counts(self, bench: Bench) -> None:
        """Each process keeps to its own configuration."""
        one, other = await bench.worker(), await bench.worker(settings=replace(SETTINGS, ttl=20.0))
        await one.resolve()
        other.pass_time(21.0)
        assert (await other.resolve()).level == "server"

    @pytest.mark.parametrize("step", [-3600.0, 3600.0])
    @pytest.mark.shows("S38")
    async def test_a_wall_clock_that_was_set_prolongs_nothing(self, bench: Bench, step: float) -> None:
        """A value from the future is not used, and one from the past is old."""
        one, other = await bench.workers(2)
        await one.resolve()
        other.wall.advance(step)
        assert (await other.resolve()).level == "server"

    async def test_clocks_may_differ_a_little(self, bench: Bench) -> None:
        """As those of two hosts do; the life of the answer is not prolonged."""
        one, other = await bench.workers(2)
        await one.resolve()
        other.wall.advance(-1.0)
        found = await other.resolve()
        assert (found.level, found.fresh_until) == ("shared", other.monotonic.now + 60.0)


class TestStale:
    """A process that begins in an outage finds what others knew before it."""

    PATIENT = replace(SETTINGS, stale_if_error=30.0)

    @pytest.mark.parametrize(("age", "level"), [(61.0, "stale"), (89.0, "stale"), (91.0, "server")])
    async def test_an_answer_lies_there_as_long_as_it_may_be_used(self, bench: Bench, age: float, level: str) -> None:
        """Not only as long as it is fresh."""
        one, other = await bench.worker(settings=self.PATIENT), await bench.worker(settings=self.PATIENT)
        begun = time.monotonic()
        await one.resolve()
        left = bench.redis.command("PTTL", bench.value_name()) / 1000
        assert left <= 90 <= left + (time.monotonic() - begun) + 0.1
        bench.server.state = TROUBLE
        other.pass_time(age)
        assert (await other.resolve()).level == level

    @pytest.mark.shows("S37")
    async def test_it_is_never_kept_past_exp(self, bench: Bench) -> None:
        """Nor is it used."""
        one, other = await bench.worker(settings=self.PATIENT), await bench.worker(settings=self.PATIENT)
        bench.server.state = active(exp=NOW + 70)
        await one.resolve()
        assert bench.redis.command("PTTL", bench.value_name()) <= 70_000
        bench.server.state = TROUBLE
        other.pass_time(71.0)
        assert (await other.resolve()).state == TROUBLE


class TestFreshness:
    """What a route wants holds for shared answers as for any."""

    @pytest.mark.shows("S33")
    async def test_live_asks_and_writes_what_it_learns(self, bench: Bench) -> None:
        """The others have the newer answer then."""
        one, other, third = await bench.workers(3)
        await one.resolve()
        bench.server.state = Inactive()
        one.pass_time(1.0)
        assert (await one.resolve(max_age=0)).level == "server"
        assert (await other.resolve()).state == Inactive()
        assert (await third.resolve(max_age=0)).level == "server"

    @pytest.mark.parametrize(("age", "level"), [(4.0, "shared"), (6.0, "server")])
    async def test_an_answer_older_than_wanted_is_asked_for_anew(self, bench: Bench, age: float, level: str) -> None:
        """And the newer one replaces it."""
        one, other, third = await bench.workers(3)
        await one.resolve()
        other.pass_time(age)
        third.pass_time(age)
        assert (await other.resolve(max_age=5.0)).level == level
        assert (await third.resolve(max_age=5.0)).level == "shared"

    async def test_joining_a_flight_does_not_make_do_with_an_older_answer(self, bench: Bench) -> None:
        """The one who started it was content with what the shared cache had."""
        one, other = await bench.workers(2)
        await one.resolve()
        other.pass_time(30.0)
        content, strict = await asyncio.gather(other.resolve(), other.resolve(max_age=5.0))
        assert (content.level, strict.level) == ("shared", "server")

    async def test_a_straggler_does_not_overwrite_a_later_answer(self, bench: Bench) -> None:
        """A slow answer to an earlier question must not bring back a revoked token."""
        one, other, third = await bench.workers(3)
        bench.server.gate = asyncio.Event()
        slow = asyncio.create_task(one.resolve(max_age=0))
        await bench.server.first_question.wait()
        gate, bench.server.gate, bench.server.state = bench.server.gate, None, Inactive()
        other.pass_time(1.0)
        await other.resolve(max_age=0)
        gate.set()
        assert (await slow).state == active()
        assert (await third.resolve()).state == Inactive()


class TestRevocation:
    """Values are only used if no notice came after their question, by the position in the log."""

    TOKEN = Notice(Kind.TOKEN, KEYS.token_hash("t").hex())

    @pytest.mark.parametrize("notice", [TOKEN, Notice(Kind.SUB, KEYS.name_hash("sub", "u1")), ALL])
    async def test_a_value_from_before_a_notice_is_not_used(self, bench: Bench, notice: Notice) -> None:
        """Whoever wrote it, and whether or not they have heard of it."""
        one, other = await bench.workers(2)
        await one.resolve()
        other.revocations.take(notice, 1)
        bench.server.state = Inactive()
        assert (await other.resolve()).state == Inactive()

    async def test_a_value_from_after_it_is(self, bench: Bench) -> None:
        """To revoke is to forget once, for all processes together."""
        one, other = await bench.workers(2)
        for worker in (one, other):
            worker.revocations.take(self.TOKEN, 1)
        one.revocations.position = 1
        await one.resolve()
        assert (await other.resolve()).level == "shared"

    async def test_the_position_is_that_of_the_question(self, bench: Bench) -> None:
        """A notice that comes while the server thinks is later than the answer."""
        one, other = await bench.workers(2)
        bench.server.gate = asyncio.Event()
        slow = asyncio.create_task(one.resolve())
        await bench.server.first_question.wait()
        one.revocations.position = 1
        bench.server.gate.set()
        await slow
        other.revocations.take(self.TOKEN, 1)
        assert (await other.resolve()).level == "server"

    async def test_without_news_from_the_log_nothing_is_shared(self, bench: Bench) -> None:
        """A process that cannot hear notices cannot tell which values are good."""
        one, other = await bench.workers(2)
        await one.resolve()
        other.revocations.current = False
        assert (await other.resolve()).level == "server"


class TestRotation:
    """The first key seals, all of them open."""

    async def test_values_under_the_old_key_are_found(self, bench: Bench) -> None:
        """A change of keys empties no cache."""
        old, both = await bench.worker(keyring=(OLD_KEYS,)), await bench.worker(keyring=(KEYS, OLD_KEYS))
        await old.resolve()
        assert (await both.resolve()).level == "shared"

    @pytest.mark.parametrize(
        ("kind", "name"), [(Kind.TOKEN, "t"), (Kind.JTI, "j"), (Kind.SUB, "u1"), (Kind.CLIENT_ID, "app")]
    )
    async def test_a_notice_under_the_old_key_is_heeded(self, bench: Bench, kind: Kind, name: str) -> None:
        """It was written before anybody had the new key, and is about a value that the new key's owner finds."""
        bench.server.state = active(sub="u1", jti="j", client_id="app")
        old, both = await bench.worker(keyring=(OLD_KEYS,)), await bench.worker(keyring=(KEYS, OLD_KEYS))
        await old.hear()
        await old.resolve()
        assert await old.feed.revoke([(kind, name)])
        await both.hear()
        assert (await both.resolve()).level == "server"

    async def test_new_values_are_under_the_new_key(self, bench: Bench) -> None:
        """So the old one can be taken out after a while."""
        both, new = await bench.worker(keyring=(KEYS, OLD_KEYS)), await bench.worker(keyring=(KEYS,))
        await both.resolve()
        assert (await new.resolve()).level == "shared"

    async def test_without_a_common_key_nothing_is_common(self, bench: Bench) -> None:
        """Not even the names."""
        one, other = await bench.worker(keyring=(OLD_KEYS,)), await bench.worker(keyring=(KEYS,))
        await one.resolve()
        assert (await other.resolve()).level == "server"
        assert len(bench.names()) == 2

    @pytest.mark.parametrize("change", [{"issuer": "https://x.example.com"}, {"client_id": "x"}, {"name": "x"}])
    async def test_nor_without_a_common_configuration(self, bench: Bench, change: dict[str, str]) -> None:
        """Another client, or another issuer expected: other answers."""
        settings = replace(SETTINGS, **change)  # type: ignore[arg-type] # all of them are texts
        one, other = await bench.worker(), await bench.worker(settings=settings)
        await one.resolve()
        assert (await other.resolve()).level == "server"


def flipped(value: bytes, place: int) -> bytes:
    return value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]


class TestLyingRedis:
    """Whoever can write to Redis can make us ask, and no more."""

    @pytest.mark.parametrize(
        "lie",
        [
            lambda value: flipped(value, -1),
            lambda value: flipped(value, 20),
            lambda value: flipped(value, 15),
            lambda value: b"9" + value[1:],
            lambda value: value[:-1],
            lambda value: value[:16],
            lambda _: b"garbage",
            lambda _: b'{"active": true, "scope": "admin"}',
        ],
    )
    async def test_a_changed_value_is_none(self, bench: Bench, lie: Callable[[bytes], bytes]) -> None:
        """The operator is told, once for many."""
        one, other = await bench.workers(2)
        await one.resolve()
        bench.redis.raw("SET", bench.value_name(), lie(bench.value()))
        assert (await other.resolve()).level == "server"
        assert [event.what for event in other.observer.happenings] == [Happening.SHARED_CACHE_UNREADABLE]

    @pytest.mark.parametrize(
        "answer", [None, 5, b"x", [], [b"", 0], ["", 0, 0], [b"", b"0", 0], [None, 2, 0], [b"", 0, None]]
    )
    async def test_an_answer_of_another_kind_is_trouble(
        self, bench: Bench, answer: object, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What our script never returns is met by asking."""

        async def run(*_: object) -> object:
            return answer

        monkeypatch.setattr(RedisClient, "run", run)
        assert (await (await bench.worker()).resolve()).level == "server"

    async def test_a_value_of_another_kind_is_none(self, bench: Bench) -> None:
        """A list where text is expected is trouble, which is met by asking."""
        one, other = await bench.workers(2)
        await one.resolve()
        name = bench.value_name()
        bench.redis.command("DEL", name)
        bench.redis.command("RPUSH", name, "x")
        assert (await other.resolve()).level == "server"

    async def test_the_value_of_another_token_is_none(self, bench: Bench) -> None:
        """Somebody's good token does not make mine good."""
        one, other = await bench.workers(2)
        await one.resolve("good")
        good = bench.value()
        bench.redis.flush()
        bench.server.state = Inactive()
        await one.resolve("bad")
        bench.redis.raw("SET", bench.value_name(), good)
        assert (await other.resolve("bad")).state == Inactive()
        assert (await other.resolve("bad")).level == "memory"

    async def test_an_old_value_is_as_old_as_it_is(self, bench: Bench) -> None:
        """Brought back after its time, it has no second life."""
        one, other = await bench.workers(2)
        await one.resolve()
        name, value = bench.value_name(), bench.value()
        bench.redis.flush()
        bench.redis.raw("SET", name, value)
        other.pass_time(61.0)
        assert (await other.resolve()).level == "server"

    async def test_an_old_value_is_not_older_than_a_notice(self, bench: Bench) -> None:
        """Brought back after a revocation, it is known to be from before."""
        one, other = await bench.workers(2)
        await one.resolve()
        name, value = bench.value_name(), bench.value()
        for worker in (one, other):
            worker.revocations.take(ALL, 1)
            worker.revocations.position = 1
        bench.server.state = Inactive()
        await one.resolve()
        bench.redis.raw("SET", name, value)
        assert (await other.resolve()).state == Inactive()

    async def test_many_unreadable_values_are_told_of_now_and_then(self, bench: Bench) -> None:
        """At once, and then every ten seconds with their number."""
        one, other = await bench.worker(), await bench.worker()
        for number in range(5):
            await one.resolve(f"t{number}")
        for name in bench.names():
            bench.redis.raw("SET", name, b"garbage")
        for number in range(4):
            await other.resolve(f"t{number}")
        other.pass_time(10.0)
        await other.resolve("t4")
        assert [event.count for event in other.observer.happenings] == [1, 4]


@pytest.mark.shows("S34")
async def test_redis_holds_no_token_and_no_name(bench: Bench) -> None:
    """Neither in keys nor in values, in any part of them, nor in what a lease looks like."""
    canaries = [f"canary-{word}-8f3a1c" for word in ("token", "sub", "client", "user", "claim", "scope", "jti")]
    token, sub, client, user, claim, scope, jti = canaries
    worker = await bench.worker(settings=replace(SETTINGS, client_id=client))
    state = active(scope, sub=sub, client_id=client, username=user, jti=jti)
    bench.server.state = replace(state, claims={"email": claim})
    bench.server.gate = asyncio.Event()
    asking = asyncio.create_task(worker.resolve(token))
    await bench.server.first_question.wait()
    everything = [bench.redis.everything()]
    bench.server.gate.set()
    await asking
    everything.append(bench.redis.everything())
    assert [len(dump) for dump in everything] == [1, 1]
    seen = repr(everything)
    assert not [word for word in canaries if word[:12] in seen or word in seen]


class TestLease:
    """One process asks, the others wait for its answer."""

    @pytest.mark.shows("S35")
    async def test_ten_processes_and_many_tokens_are_one_question_each(self, bench: Bench) -> None:
        """Cold, and all ten meet each of them at once."""
        bench.server.takes = 0.01
        resolvers = [(await bench.worker()).resolver for _ in range(10)]
        tokens = [Token(f"t{number}") for number in range(1000)]
        requests = (resolver.resolve("main", token, Terms()) for token in tokens for resolver in resolvers)
        assert all(answer.state == active() for answer in await asyncio.gather(*requests))
        assert bench.questions == 1000

    async def test_a_freed_lease_without_a_value_lets_all_others_ask(self, bench: Bench) -> None:
        """One in trouble does not hold up the rest one after the other."""
        workers = await bench.workers(4)
        bench.server.gate, bench.server.state = asyncio.Event(), TROUBLE
        requests = [asyncio.create_task(worker.resolve()) for worker in workers]
        await bench.server.first_question.wait()
        await asyncio.sleep(0.02)
        assert bench.questions == 1
        bench.server.gate.set()
        assert {(await request).state for request in requests} == {TROUBLE}
        assert bench.questions == 4

    async def test_a_live_question_does_not_wait_for_somebody_elses(self, bench: Bench) -> None:
        """That one was asked before this request came in."""
        one, other = await bench.workers(2)
        bench.server.gate = asyncio.Event()
        waiting = [asyncio.create_task(one.resolve())]
        await bench.server.first_question.wait()
        bench.server.first_question.clear()
        waiting.append(asyncio.create_task(other.resolve(max_age=0)))
        await asyncio.wait_for(bench.server.first_question.wait(), SETTINGS.timeout / 2)
        bench.server.gate.set()
        assert [answer.level for answer in await asyncio.gather(*waiting)] == ["server", "server"]

    async def test_nobody_waits_longer_than_the_lease(self, bench: Bench) -> None:
        """Its holder may have died, and somebody may keep it alive for ever."""
        one = await bench.worker()
        await one.resolve()
        name = bench.value_name()
        bench.redis.flush()
        bench.redis.command("SET", f"{name}:lease", "somebody")
        waits: list[float] = []

        async def sleep(seconds: float) -> None:
            waits.append(seconds)
            other.monotonic.advance(seconds)

        other = await bench.worker(sleep=sleep)
        assert (await other.resolve()).level == "server"
        lease = SETTINGS.timeout + LEASE_MARGIN_SECONDS
        assert lease <= sum(waits) < lease + 0.1, "the time limit of a question and a margin"

    async def test_a_lease_of_somebody_else_is_left_alone(self, bench: Bench) -> None:
        """It may be the next one already."""
        one = await bench.worker()
        bench.server.gate = asyncio.Event()
        asking = asyncio.create_task(one.resolve())
        await bench.server.first_question.wait()
        (lease,) = bench.names()
        bench.redis.command("SET", lease, "somebody")
        bench.server.gate.set()
        await asking
        assert bench.redis.command("GET", lease) == "somebody"

    async def test_a_lease_ends_by_itself(self, bench: Bench) -> None:
        """Not long after the question would have been given up."""
        one = await bench.worker()
        bench.server.gate = asyncio.Event()
        asking = asyncio.create_task(one.resolve())
        await bench.server.first_question.wait()
        (lease,) = bench.names()
        left = bench.redis.command("PTTL", lease) / 1000
        assert 0 < left <= SETTINGS.timeout + LEASE_MARGIN_SECONDS
        bench.server.gate.set()
        await asking
        assert [name for name in bench.names() if name.endswith(":lease")] == []
