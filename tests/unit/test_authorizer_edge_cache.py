"""How long a gateway may keep an allow: no longer than the rule, our own entry and the token's life permit."""

import asyncio

import pytest

from extauthz.core.decision import Allow, Deny, Reason
from extauthz.testing import Bench, StubResolver, active, policy, request, rule

NOW = 1_700_000_000.0
MONOTONIC = 1000.0

# seconds of the rule, seconds left of our own entry, exp, seconds for the gateway
EDGE = {
    "as the rule says": (60, 500.0, NOW + 300, 60),
    "not past our own entry": (60, 20.0, NOW + 300, 20),
    "whole seconds of our own entry": (60, 20.9, NOW + 300, 20),
    "until a second before exp": (60, 500.0, NOW + 30, 29),
    "whole seconds before exp": (60, 500.0, NOW + 30.9, 29),
    "no exp": (60, 500.0, None, 60),
    "exp in two seconds": (60, 500.0, NOW + 2, 1),
    "exp in a second": (60, 500.0, NOW + 1, 0),
    "exp has passed, within the leeway": (60, 500.0, NOW - 10, 0),
    "our entry ends now": (60, 0.0, NOW + 300, 0),
    "our entry has ended": (60, -5.0, NOW + 300, 0),
    "our entry ends in less than a second": (60, 0.9, NOW + 300, 0),
    "the rule wants none": (0, 500.0, NOW + 300, 0),
}


@pytest.mark.shows("N51", "N52")
@pytest.mark.parametrize(("edge_cache", "entry", "exp", "seconds"), EDGE.values(), ids=EDGE)
async def test_an_allow_is_kept_no_longer_than_anyone_permits(
    edge_cache: int, entry: float, exp: float | None, seconds: int
) -> None:
    """The least of the three, in whole seconds, and never less than nothing; the rest of the answer is untouched."""
    resolver = StubResolver({"good": active(exp=exp)}, fresh_until=MONOTONIC + entry)
    bench = Bench(policy=policy(rule(edge_cache=edge_cache, leeway=60)), resolver=resolver)
    bench.monotonic.now = MONOTONIC
    allow = await bench.check(request(token="good"))
    assert isinstance(allow, Allow)
    assert allow.cache_seconds == seconds
    assert (allow.rule, allow.absent) == ("orders", ())
    assert allow.identity == (("x-auth-sub", "u1"), ("x-auth-scope", "orders:read"))


@pytest.mark.shows("N52")
@pytest.mark.parametrize("clock", ["wall", "monotonic"])
async def test_the_seconds_count_from_the_answer_and_not_from_the_question(clock: str) -> None:
    """Time that passed while the server was thinking is gone, by the clock of `exp` and by that of our own entry."""
    gate = asyncio.Event()
    resolver = StubResolver({"good": active(exp=NOW + 51)}, fresh_until=MONOTONIC + 50, gate=gate)
    bench = Bench(policy=policy(rule(edge_cache=60)), resolver=resolver)
    waiting = asyncio.create_task(bench.check(request(token="good")))
    await asyncio.sleep(0)
    {"wall": bench.wall, "monotonic": bench.monotonic}[clock].advance(10)
    gate.set()
    allow = await waiting
    assert isinstance(allow, Allow)
    assert allow.cache_seconds == 40


@pytest.mark.shows("N52")
@pytest.mark.parametrize(("asked_ago", "seconds"), [(0.0, 4), (1.0, 3), (3.1, 0), (4.5, 0), (30.0, 0)])
async def test_an_allow_is_never_older_than_the_route_has_it(asked_ago: float, seconds: int) -> None:
    """`freshness: 5s` bounds what clients get, so the time in our cache and in the gateway's add up; a gateway rounds up."""
    resolver = StubResolver({"good": active()}, fresh_until=MONOTONIC + 500, asked_at=MONOTONIC - asked_ago)
    bench = Bench(policy=policy(rule(edge_cache=5, max_age=5.0)), resolver=resolver)
    bench.monotonic.now = MONOTONIC
    allow = await bench.check(request(token="good"))
    assert isinstance(allow, Allow)
    assert allow.cache_seconds == seconds


@pytest.mark.shows("N52")
@pytest.mark.parametrize("max_age", [None, 5.0])
async def test_an_answer_that_nobody_vouches_for_is_not_kept(max_age: float | None) -> None:
    """A resolver that names no time has not promised that it may be repeated."""
    allow = await Bench(policy=policy(rule(edge_cache=5, max_age=max_age))).check(request(token="good"))
    assert isinstance(allow, Allow)
    assert allow.cache_seconds == 0


async def test_a_public_answer_is_not_kept() -> None:
    """It costs no question, so there is nothing to save."""
    allow = await Bench(policy=policy(rule(anonymous=True, edge_cache=60))).check(request())
    assert isinstance(allow, Allow)
    assert allow.cache_seconds == 0


@pytest.mark.shows("S37")
@pytest.mark.parametrize("edge_cache", [0, 60])
async def test_an_allow_by_a_stale_answer_says_so_and_is_kept_by_nobody(edge_cache: int) -> None:
    """The reason is its own word for log, metrics and gateway."""
    resolver = StubResolver({"good": active()}, level="stale", fresh_until=MONOTONIC + 50)
    bench = Bench(policy=policy(rule(edge_cache=edge_cache)), resolver=resolver)
    bench.monotonic.now = MONOTONIC
    allow = await bench.check(request(token="good"))
    assert isinstance(allow, Allow)
    assert (allow.reason, allow.cache_seconds) == (Reason.ALLOWED_STALE, 0)
    assert allow.identity == (("x-auth-sub", "u1"), ("x-auth-scope", "orders:read"))
    assert bench.event.level == "stale"


async def test_a_stale_answer_opens_no_door_that_a_fresh_one_would_not() -> None:
    """Its scopes are compared, and its times."""
    for state in (active("other:scope"), active(exp=NOW - 100)):
        bench = Bench(resolver=StubResolver({"t": state}, level="stale"))
        assert isinstance(await bench.check(request(token="t")), Deny)
