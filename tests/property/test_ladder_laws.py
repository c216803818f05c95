"""What must hold for every course of events: circuits, repetitions, limits and batches."""

import asyncio
from collections.abc import Sequence

from hypothesis import given, settings, strategies as st

from extauthz.core.batch_answer import read_batch_answer
from extauthz.core.introspection import Active, Answer, TokenState, Unavailable, read_answer
from extauthz.core.token import Token
from extauthz.resolver.batch import Batcher, BatchSettings
from extauthz.resolver.breaker import Breaker, BreakerSettings, State
from extauthz.resolver.limiter import InactiveLimiter, LimitSettings
from extauthz.resolver.retry_budget import RetryBudget
from extauthz.testing import TickingClock, active
from property import strategies as our
from support.virtual_time import in_virtual_time

law = settings(deadline=None, max_examples=200)

seconds = st.floats(min_value=0.0, max_value=20.0)
events = st.lists(st.sampled_from(["ask", "succeed", "fail"]) | seconds, max_size=80)


@st.composite
def breaker_settings(draw: st.DrawFn) -> BreakerSettings:
    """Any that the configuration takes."""
    window = draw(st.integers(1, 12))
    pause = draw(st.floats(0.1, 5.0))
    return BreakerSettings(
        failures=draw(st.integers(1, window)),
        window=window,
        open_seconds=pause,
        max_open_seconds=draw(st.floats(pause, 20.0)),
    )


class TestBreaker:
    """Whatever happens in whatever order."""

    @law
    @given(breaker_settings(), events, st.floats(0.0, 1.0))
    def test_it_lets_all_pass_when_closed_and_one_a_pause_otherwise(
        self, limits: BreakerSettings, course: list[str | float], jitter: float
    ) -> None:
        """Two probes are never nearer than the shortest pause, unless the circuit closed between them."""
        clock = TickingClock(0.0)
        breaker = Breaker(limits, clock, random=lambda: jitter)
        probed_at: float | None = None
        for event in course:
            match event:
                case "ask":
                    was_closed, rest = breaker.state is State.CLOSED, breaker.rest
                    allowed = breaker.allow()
                    assert allowed == (rest == 0)
                    if allowed and not was_closed:
                        assert probed_at is None or clock.now - probed_at >= limits.open_seconds - 1e-9
                        probed_at = clock.now
                case "succeed":
                    breaker.succeeded()
                case "fail":
                    breaker.failed()
                case float(elapsed):
                    clock.advance(elapsed)
            probed_at = None if breaker.state is State.CLOSED else probed_at
            assert 0 <= breaker.rest <= limits.max_open_seconds * 1.25 + 1e-9
            assert (breaker.rest == 0) or breaker.state is not State.CLOSED

    @law
    @given(breaker_settings(), events)
    def test_it_is_never_stuck(self, limits: BreakerSettings, course: list[str | float]) -> None:
        """After the longest pause a probe is let through, and if it succeeds, all is as at the start."""
        clock = TickingClock(0.0)
        breaker = Breaker(limits, clock, random=lambda: 1.0)
        actions = {"ask": breaker.allow, "succeed": breaker.succeeded, "fail": breaker.failed}
        for event in course:
            clock.advance(event) if isinstance(event, float) else actions[event]()
        clock.advance(limits.max_open_seconds * 1.25 + 0.001)
        assert breaker.allow()
        breaker.succeeded()
        assert breaker.allow()

    @law
    @given(breaker_settings(), st.lists(st.booleans(), max_size=60))
    def test_it_opens_on_exactly_the_failures_that_its_settings_name(
        self, limits: BreakerSettings, results: list[bool]
    ) -> None:
        """At the first moment when so many of the last results had failed, and not before."""
        breaker = Breaker(limits, TickingClock(0.0), random=lambda: 0.0)
        for count, succeeded in enumerate(results, start=1):
            (breaker.succeeded if succeeded else breaker.failed)()
            recent = results[max(0, count - limits.window) : count]
            if recent.count(False) >= limits.failures:
                assert breaker.state is State.OPEN
                return
            assert breaker.allow()


class TestRetryBudget:
    """A share of the questions, over every stretch of them."""

    @law
    @given(st.integers(1, 20), st.integers(0, 20), st.lists(st.booleans(), max_size=200), st.data())
    def test_no_stretch_of_questions_has_more_repetitions_than_its_share(
        self, price: int, reserve: int, course: list[bool], data: st.DataObject
    ) -> None:
        """`reserve + n / price` for any n questions in a row; True is a question, False an attempt to repeat one."""
        budget = RetryBudget(questions_per_retry=price, reserve=reserve)
        repeated = []
        for is_question in course:
            if is_question:
                budget.pay_in()
            repeated.append(not is_question and budget.take())
        start = data.draw(st.integers(0, len(course)))
        end = data.draw(st.integers(start, len(course)))
        assert sum(repeated[start:end]) <= reserve + sum(course[start:end]) / price


class TestLimiter:
    """An address never gets more than its rate allows."""

    @law
    @given(
        per_minute=st.integers(1, 600),
        burst=st.integers(1, 20),
        course=st.lists(st.sampled_from(["take", "give back"]) | seconds, max_size=100),
    )
    def test_no_stretch_of_time_has_more_bad_tokens_than_the_burst_and_the_rate(
        self, per_minute: int, burst: int, course: list[str | float]
    ) -> None:
        """What was given back does not count; no more is given back than was taken."""
        clock = TickingClock(0.0)
        limiter = InactiveLimiter(LimitSettings(per_minute=per_minute, burst=burst, max_addresses=10), clock)
        kept = 0
        for event in course:
            match event:
                case "take":
                    wait = limiter.take("a")
                    kept += wait == 0
                    assert 0 <= wait <= 60 / per_minute + 1e-6
                case "give back" if kept:
                    limiter.give_back("a")
                    kept -= 1
                case float(elapsed):
                    clock.advance(elapsed)
            assert kept <= burst + clock.now * per_minute / 60 + 1e-6

    @law
    @given(st.lists(st.text(max_size=80), max_size=60), st.integers(1, 10))
    def test_the_table_never_outgrows_its_bound(self, addresses: list[str], bound: int) -> None:
        """Whatever stands where an address should."""
        limiter = InactiveLimiter(LimitSettings(per_minute=1, burst=1, max_addresses=bound), TickingClock(0.0))
        for address in addresses:
            limiter.take(address)
            assert len(limiter) <= bound


class TestBatchAnswers:
    """What stands in a batch means what it would mean alone."""

    @law
    @given(st.lists(our.answers, min_size=1, max_size=5))
    def test_each_response_is_read_as_a_single_answer_would_be(self, bodies: list[str]) -> None:
        """Or the whole is trouble, when one of them is no JSON of the strict kind."""
        whole = read_batch_answer(_json(f'{{"responses":[{",".join(bodies)}]}}'), count=len(bodies), issuer=None)
        single = [read_answer(_json(body), issuer=None, answers_others=True) for body in bodies]
        if isinstance(whole, Unavailable):
            assert any(isinstance(state, Unavailable) for state in single)
        else:
            assert list(whole) == single

    @law
    @given(st.lists(our.answers, max_size=5), st.integers(0, 6))
    def test_an_answer_of_another_length_says_nothing(self, bodies: list[str], count: int) -> None:
        """Nobody knows which token is missing."""
        whole = read_batch_answer(_json(f'{{"responses":[{",".join(bodies)}]}}'), count=count, issuer=None)
        assert isinstance(whole, Unavailable) or len(bodies) == count


def _json(body: str) -> Answer:
    return Answer(status=200, content_type="application/json", body=body.encode("utf-8", "surrogatepass"))


class _Echo:
    """The subject of every token is its text; remembers what was asked together."""

    def __init__(self, takes: float) -> None:
        self.batches: list[list[str]] = []
        self._takes = takes

    async def ask(self, tokens: Sequence[Token], /) -> Sequence[TokenState]:
        self.batches.append([token.reveal() for token in tokens])
        await asyncio.sleep(self._takes)
        return [active(sub=token.reveal()) for token in tokens]

    async def close(self) -> None:
        """Nothing to close."""


class TestBatches:
    """However questions come."""

    @settings(deadline=None, max_examples=100)
    @given(
        arrivals=st.lists(st.tuples(st.floats(0.0, 0.05), st.booleans()), min_size=1, max_size=40),
        size=st.integers(2, 8),
        concurrency=st.integers(1, 3),
        takes=st.floats(0.0, 0.05),
    )
    def test_every_question_that_is_waited_for_has_its_own_answer(
        self, arrivals: list[tuple[float, bool]], size: int, concurrency: int, takes: float
    ) -> None:
        """Each is asked once at most, in order, in batches that are not too large; True goes away at once."""

        @in_virtual_time
        async def asking() -> None:
            server = _Echo(takes)
            limits = BatchSettings(delay=0.01, size=size, concurrency=concurrency, timeout=60.0)
            batcher = Batcher(server, limits)
            callers: list[asyncio.Task[TokenState]] = []
            for number, (after, leaves) in enumerate(arrivals):
                await asyncio.sleep(after)
                callers.append(asyncio.create_task(batcher.ask(Token(f"t{number:02}"))))
                if leaves:
                    await asyncio.sleep(0)
                    callers[-1].cancel()
            results = await asyncio.gather(*callers, return_exceptions=True)
            for number, (_, leaves) in enumerate(arrivals):
                result = results[number]
                assert isinstance(result, asyncio.CancelledError if leaves else Active)
                assert leaves or (isinstance(result, Active) and result.sub == f"t{number:02}")
            asked = [token for batch in server.batches for token in batch]
            assert asked == sorted(set(asked))
            assert max(map(len, server.batches), default=0) <= size
            await batcher.close()

        asking()
