"""When to look again for an answer that another process is getting. All else is tried with a real Redis."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import pytest

from extauthz.core.decision import Reason
from extauthz.core.introspection import TokenState, Unavailable
from extauthz.core.token import Token
from extauthz.resolver.cache import TokenCache
from extauthz.resolver.revocation import Revocations
from extauthz.resolver.sealing import Keys
from extauthz.resolver.settings import ServerSettings
from extauthz.resolver.shared_cache import SharedCache
from extauthz.testing import RecordingObserver, TickingClock, active

if TYPE_CHECKING:
    from extauthz.resolver.redis import RedisClient

KEYS = Keys.derive(b"k" * 32)
SETTINGS = ServerSettings(name="main", timeout=0.75)
LEASE_SECONDS = 1.0
FREE = 2


class LeasedElsewhere:
    """A Redis without the value, whose lease somebody else took so many seconds ago and frees after so many looks."""

    def __init__(self, clock: TickingClock, *, ago: float, looks: int) -> None:
        self._clock = clock
        self._taken_at = clock() - ago
        self._looks = looks

    async def run(self, _script: str, _names: Sequence[str], _arguments: object) -> tuple[bytes, int, int]:
        self._looks -= 1
        left = LEASE_SECONDS - (self._clock() - self._taken_at)
        return b"", 0 if self._looks else FREE, round(left * 1000)


async def pauses(*told: tuple[TokenState, float], ago: float = 0.0, looks: int = 2) -> list[float]:
    """Between looks for an answer, after these answers to questions of so many seconds ago."""
    clock, slept = TickingClock(1000.0), []
    revocations = Revocations(KEYS.name_hash)
    revocations.current = True

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.advance(seconds)

    shared = SharedCache(
        SETTINGS,
        cache=TokenCache(SETTINGS, secret=KEYS.tokens, monotonic=clock, wall=clock, revocations=revocations),
        redis=cast("RedisClient", LeasedElsewhere(clock, ago=ago, looks=looks)),
        keyring=(KEYS,),
        prefix="extauthz",
        owner="one",
        observer=RecordingObserver(),
        monotonic=clock,
        wall=clock,
        sleep=sleep,
    )
    revocations.current = False  # nothing is written
    for state, seconds in told:
        shared.keep(Token("t"), state, seconds, 0)
    revocations.current = True
    await shared.find(Token("t"), None)
    return slept


def usual(seconds: float) -> list[tuple[TokenState, float]]:
    """So many questions of that length that no other counts."""
    return [(active(), seconds)] * 100


async def test_the_first_look_is_when_the_answer_should_be_there() -> None:
    """By how long questions take and when this one began."""
    assert await pauses(*usual(0.04)) == [pytest.approx(0.04, abs=0.001)]
    assert await pauses(*usual(0.04), ago=0.03) == [pytest.approx(0.01, abs=0.001)]


async def test_who_is_late_looks_soon_and_then_ever_later() -> None:
    """A question that takes twice the usual may take ten times."""
    first, *others = await pauses(*usual(0.04), looks=20)
    assert first == pytest.approx(0.04, abs=0.001)
    assert others == sorted(others)
    assert (others[0], others[-1]) == (0.002, 0.05)


async def test_nobody_waits_for_long_without_a_look() -> None:
    """The lease may be freed without an answer."""
    assert await pauses(*usual(0.5)) == [0.05]


async def test_who_has_never_asked_looks_soon() -> None:
    """Nothing is known yet."""
    assert await pauses() == [0.002]


async def test_trouble_says_nothing_about_the_usual() -> None:
    """It takes the whole time limit."""
    trouble = Unavailable(reason=Reason.SERVER_TIMEOUT, detail="")
    assert await pauses(*[(trouble, 0.75)] * 100) == [0.002]
