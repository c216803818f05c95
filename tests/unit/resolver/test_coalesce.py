"""Callers that want the same answer share one flight, and none of them can spoil it for the others."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from extauthz.resolver.coalesce import NotInTimeError, SingleFlight

EVER = float("-inf")


class Work:
    """Work that waits until it is let go, and knows how it ended."""

    def __init__(self, answer: str = "answer") -> None:
        self.answer = answer
        self.gate = asyncio.Event()
        self.started = 0
        self.cancelled = 0

    async def __call__(self) -> str:
        self.started += 1
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return self.answer


@pytest.fixture
async def flights() -> AsyncIterator[SingleFlight[str]]:
    flights: SingleFlight[str] = SingleFlight()
    yield flights
    await flights.close()


def board(
    flights: SingleFlight[str], work: Work, *, key: bytes = b"k", now: float = 10.0, newer_than: float = EVER
) -> "asyncio.Task[str]":
    return asyncio.create_task(flights.run(key, work, now=now, newer_than=newer_than))


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.shows("S35", "E64")
async def test_a_hundred_callers_share_one_flight(flights: SingleFlight[str]) -> None:
    """The work is done once and all have its result."""
    work = Work()
    callers = [board(flights, work) for _ in range(100)]
    await settle()
    work.gate.set()
    assert await asyncio.gather(*callers) == ["answer"] * 100
    assert work.started == 1


@pytest.mark.parametrize("newer_than", [EVER, 9.0, 10.0, 11.0])
async def test_one_can_see_whether_one_would_join(flights: SingleFlight[str], newer_than: float) -> None:
    """Before anybody flies one would not."""
    work = Work("ours")
    assert not flights.in_the_air(b"k", newer_than=newer_than)
    callers = [board(flights, work, now=10.0)]
    await settle()
    would = flights.in_the_air(b"k", newer_than=newer_than)
    callers.append(board(flights, work, now=12.0, newer_than=newer_than))
    await settle()
    assert work.started == (1 if would else 2)
    work.gate.set()
    await asyncio.gather(*callers)


async def test_keys_do_not_meet(flights: SingleFlight[str]) -> None:
    """Another question is another flight."""
    ours, theirs = Work("ours"), Work("theirs")
    callers = [board(flights, ours, key=b"a"), board(flights, theirs, key=b"b")]
    await settle()
    ours.gate.set()
    theirs.gate.set()
    assert await asyncio.gather(*callers) == ["ours", "theirs"]


async def test_a_flight_that_landed_is_forgotten(flights: SingleFlight[str]) -> None:
    """It is no cache: the next caller starts anew."""
    work = Work()
    work.gate.set()
    assert await board(flights, work) == "answer"
    await settle()
    assert len(flights) == 0
    await board(flights, work)
    assert work.started == 2


class TestCancellation:
    """A caller that goes away takes nobody with it."""

    @pytest.mark.parametrize("leaving", [[0], [1, 2], [0, 1], [3]], ids=["leader", "followers", "both", "last"])
    async def test_the_others_get_their_answer(self, flights: SingleFlight[str], leaving: list[int]) -> None:
        """An attacker who opens and drops connections would deny others."""
        work = Work()
        callers = [board(flights, work) for _ in range(4)]
        await settle()
        for number in leaving:
            callers[number].cancel()
        await settle()
        work.gate.set()
        results = await asyncio.gather(*callers, return_exceptions=True)
        assert [isinstance(result, asyncio.CancelledError) for result in results] == [n in leaving for n in range(4)]
        assert {result for result in results if isinstance(result, str)} == {"answer"}
        assert (work.started, work.cancelled) == (1, 0)

    async def test_the_flight_lands_although_everybody_left(self, flights: SingleFlight[str]) -> None:
        """Its result goes to the cache, and whoever comes meanwhile boards it."""
        work = Work()
        first = board(flights, work)
        await settle()
        first.cancel()
        await settle()
        late = board(flights, work)
        await settle()
        work.gate.set()
        assert await late == "answer"
        assert (work.started, work.cancelled) == (1, 0)

    async def test_a_caller_cancelled_before_it_boarded_starts_nothing(self, flights: SingleFlight[str]) -> None:
        """No flight without a passenger."""
        work = Work()
        board(flights, work).cancel()
        await settle()
        assert (work.started, len(flights)) == (0, 0)


class TestNewerThan:
    """A caller may insist on a question that is asked after its own request came in."""

    @pytest.mark.parametrize(
        ("newer_than", "joins"),
        [(EVER, True), (9.0, True), (9.999, True), (10.0, False), (11.0, False)],
    )
    async def test_only_a_flight_that_started_later_is_boarded(
        self, flights: SingleFlight[str], newer_than: float, joins: bool
    ) -> None:
        """The flight in the air started at 10."""
        old, new = Work("old"), Work("new")
        early = board(flights, old, now=10.0)
        await settle()
        caller = board(flights, new, now=12.0, newer_than=newer_than)
        await settle()
        old.gate.set()
        new.gate.set()
        assert [await early, await caller] == ["old", "old" if joins else "new"]

    async def test_later_callers_board_the_newer_flight(self, flights: SingleFlight[str]) -> None:
        """Also when the older one lands first."""
        old, new = Work("old"), Work("new")
        early = board(flights, old, now=10.0)
        await settle()
        live = board(flights, new, now=12.0, newer_than=12.0)
        await settle()
        old.gate.set()
        assert await early == "old"
        await settle()
        late = board(flights, Work("third"), now=13.0)
        await settle()
        new.gate.set()
        assert [await live, await late] == ["new", "new"]


class TestPatience:
    """A caller may have a deadline of its own."""

    async def test_whoever_cannot_wait_is_told_and_the_others_wait_on(self, flights: SingleFlight[str]) -> None:
        """The flight goes on for them, and for the cache."""
        work = Work()
        hasty = asyncio.create_task(flights.run(b"k", work, now=10.0, newer_than=EVER, patience=0.0))
        patient = asyncio.create_task(flights.run(b"k", work, now=10.0, newer_than=EVER, patience=60.0))
        with pytest.raises(NotInTimeError):
            await asyncio.wait_for(hasty, 5)
        work.gate.set()
        assert await asyncio.wait_for(patient, 5) == "answer"
        assert (work.started, work.cancelled) == (1, 0)

    async def test_no_timer_is_left_behind(self, flights: SingleFlight[str], monkeypatch: pytest.MonkeyPatch) -> None:
        """Neither by an answer that came in time, nor by a caller that went away."""
        timers: list[asyncio.TimerHandle] = []
        loop = asyncio.get_running_loop()
        call_later = loop.call_later

        def noted(*arguments: Any) -> asyncio.TimerHandle:  # noqa: ANN401 - whatever it is called with
            timers.append(call_later(*arguments))
            return timers[-1]

        monkeypatch.setattr(loop, "call_later", noted)
        work = Work()
        callers = [
            asyncio.create_task(flights.run(b"k", work, now=10.0, newer_than=EVER, patience=60.0)) for _ in range(2)
        ]
        await settle()
        callers[0].cancel()
        await settle()
        work.gate.set()
        await asyncio.gather(*callers, return_exceptions=True)
        assert [timer.cancelled() for timer in timers] == [True, True]


class TestTrouble:
    """What the work raises is told to all who wait."""

    async def test_every_caller_gets_it(self, flights: SingleFlight[str]) -> None:
        """Nobody waits for ever, and the next caller starts anew."""

        async def broken() -> str:
            await asyncio.sleep(0)
            raise LookupError("broken")

        callers = [asyncio.create_task(flights.run(b"k", broken, now=10.0, newer_than=EVER)) for _ in range(2)]
        results = await asyncio.gather(*callers, return_exceptions=True)
        assert [type(result) for result in results] == [LookupError, LookupError]
        assert len(flights) == 0

    async def test_where_nobody_waits_any_more_the_loop_is_told(self, flights: SingleFlight[str]) -> None:
        """A fault of ours behind a slow server would look like that server's slowness for ever."""
        told: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        gate = asyncio.Event()

        async def broken() -> str:
            await gate.wait()
            raise LookupError("broken")

        caller = asyncio.create_task(flights.run(b"k", broken, now=10.0, newer_than=EVER))
        await settle()
        caller.cancel()
        await settle()
        gate.set()
        await settle()
        gc.collect()
        assert [type(context["exception"]) for context in told] == [LookupError]

    async def test_a_flight_that_is_cancelled_before_it_began_wakes_its_callers(self) -> None:
        """Its work never ran, and can tell nobody."""
        flights: SingleFlight[str] = SingleFlight()
        caller = board(flights, Work())
        await asyncio.sleep(0)  # it has boarded, and the flight has not begun
        await flights.close()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(caller, 5)


async def test_whoever_comes_as_it_lands_starts_anew(flights: SingleFlight[str]) -> None:
    """A caller that is told is the first who can ask again."""
    first, second = Work("first"), Work("second")
    first.gate.set()
    second.gate.set()

    async def twice() -> list[str]:
        return [await flights.run(b"k", work, now=10.0, newer_than=EVER) for work in (first, second)]

    assert await asyncio.wait_for(asyncio.create_task(twice()), 5) == ["first", "second"]


class TestClose:
    """The end: nothing is left in the air."""

    async def test_flights_are_cancelled_and_their_callers_wake(self) -> None:
        """Nobody waits for ever."""
        flights: SingleFlight[str] = SingleFlight()
        work = Work()
        caller = board(flights, work)
        await settle()
        await flights.close()
        assert work.cancelled == 1
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(caller, 30)
        await settle()
        assert len(flights) == 0

    async def test_a_flight_that_a_newer_one_replaced_is_cancelled_too(self) -> None:
        """Its question would go on over a connection that is about to be closed."""
        flights: SingleFlight[str] = SingleFlight()
        old, new = Work("old"), Work("new")
        callers = [board(flights, old, now=10.0)]
        await settle()
        callers.append(board(flights, new, now=12.0, newer_than=12.0))
        await settle()
        await flights.close()
        ended = (old.cancelled, new.cancelled)
        old.gate.set()
        await asyncio.gather(*callers, return_exceptions=True)
        assert ended == (1, 1)

    async def test_it_waits_until_they_are_gone(self) -> None:
        """Clean-up inside a flight is finished when `close` returns."""
        flights: SingleFlight[str] = SingleFlight()
        done: list[str] = []

        async def tidy() -> str:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                done.append("tidy")
            return ""

        caller = asyncio.create_task(flights.run(b"k", tidy, now=0.0, newer_than=EVER))
        await settle()
        await flights.close()
        assert done == ["tidy"]
        await asyncio.gather(caller, return_exceptions=True)

    async def test_nothing_to_close_is_fine(self) -> None:
        """Closing twice as well."""
        flights: SingleFlight[str] = SingleFlight()
        await flights.close()
        await flights.close()
