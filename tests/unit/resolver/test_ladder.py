"""What becomes of a question when the server is slow, broken, busy or asked too much."""

import asyncio
from collections.abc import Callable

import pytest

from extauthz.core.decision import Reason
from extauthz.core.introspection import Unavailable
from extauthz.observe.events import Happened, Happening
from extauthz.resolver.breaker import BreakerSettings
from extauthz.resolver.ladder import Ladder, LadderSettings
from extauthz.testing import RecordingObserver
from support.virtual_time import clock, in_virtual_time

FINE = "fine"
Reply = str | Unavailable
SETTINGS = LadderSettings(
    timeout=1.0,
    retries=2,
    max_concurrent=2,
    max_waiting=3,
    circuit=BreakerSettings(failures=5, window=10, open_seconds=2.0, max_open_seconds=8.0),
)


def trouble(reason: Reason, retry_after: int = 0) -> Unavailable:
    return Unavailable(reason=reason, detail="as the test says", retry_after=retry_after)


UNREACHABLE = trouble(Reason.SERVER_UNREACHABLE)


class Server:
    """Answers as told, after as long as told.

    Attributes:
        reply: what to answer to the n-th attempt, counted from 0.
        takes: seconds for each answer.
        asked_at: when each attempt came.
        present: attempts under way.
    """

    def __init__(self, reply: Reply | Callable[[int], Reply] = FINE, takes: float = 0.0) -> None:
        self.reply = reply
        self.takes = takes
        self.asked_at: list[float] = []
        self.questions: list[str] = []
        self.present = 0
        self.most_present = 0
        self.closed = False

    async def ask(self, question: str, /) -> Reply:
        number = len(self.asked_at)
        self.asked_at.append(clock())
        self.questions.append(question)
        self.present += 1
        self.most_present = max(self.present, self.most_present)
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.present -= 1
        return self.reply(number) if callable(self.reply) else self.reply

    async def close(self) -> None:
        self.closed = True


class Bench:
    """A ladder to a server, with jitter in the middle unless told."""

    def __init__(self, server: Server, settings: LadderSettings = SETTINGS, jitter: float = 0.5) -> None:
        self.server = server
        self.observer = RecordingObserver()
        self.ladder: Ladder[str, str] = Ladder(
            server, settings, server="main", observer=self.observer, monotonic=clock, random=lambda: jitter
        )

    async def ask(self, question: str = "q") -> Reply:
        return await self.ladder.ask(question)

    async def ask_all(self, count: int) -> list[Reply]:
        """So many questions at the same moment."""
        return await asyncio.gather(*(self.ask(f"q{number}") for number in range(count)))

    @property
    def told(self) -> list[Happening]:
        return [event.what for event in self.observer.happenings]


def reasons(replies: list[Reply]) -> list[str]:
    """The reason of each trouble, and what is no trouble."""
    return [reply.reason.value if isinstance(reply, Unavailable) else reply for reply in replies]


@in_virtual_time
async def test_an_answer_passes_through() -> None:
    """With one attempt and nothing to tell."""
    bench = Bench(Server())
    assert await bench.ask() == FINE
    assert (bench.server.questions, bench.told) == (["q"], [])
    await bench.ladder.close()
    assert bench.server.closed


class TestRepeating:
    """What may pass is tried again; what would be the same again is not."""

    @in_virtual_time
    async def test_a_server_that_recovers_in_time_has_answered(self) -> None:
        """Nobody notices but the metrics."""
        bench = Bench(Server(lambda number: FINE if number == 2 else UNREACHABLE))
        assert await bench.ask() == FINE
        assert (
            bench.observer.happenings
            == [Happened(what=Happening.RETRIED, subject="main", detail="server_unreachable")] * 2
        )

    @pytest.mark.parametrize(("jitter", "pauses"), [(0.0, [0.0, 0.0]), (0.5, [0.025, 0.05]), (1.0, [0.05, 0.1])])
    def test_pauses_are_random_up_to_a_limit_that_doubles(self, jitter: float, pauses: list[float]) -> None:
        """So that the questions of an outage do not come back all at once."""

        @in_virtual_time
        async def asking() -> None:
            bench = Bench(Server(UNREACHABLE), jitter=jitter)
            assert await bench.ask() == UNREACHABLE
            first, second, third = bench.server.asked_at
            assert [second - first, third - second] == pytest.approx(pauses)

        asking()

    @pytest.mark.parametrize(
        ("reply", "attempts"),
        [
            (trouble(Reason.SERVER_UNREACHABLE), 3),
            (trouble(Reason.SERVER_ERROR), 3),
            (trouble(Reason.SERVER_ERROR, retry_after=1), 1),
            (trouble(Reason.SERVER_BUSY), 1),
            (trouble(Reason.SERVER_BUSY, retry_after=30), 1),
            (trouble(Reason.SERVER_TIMEOUT), 1),
            (trouble(Reason.SERVER_REFUSED_US), 1),
            (trouble(Reason.SERVER_ANSWER_INVALID), 1),
            (FINE, 1),
        ],
    )
    @pytest.mark.shows("S26")
    def test_how_often_each_answer_is_asked_for(self, reply: Reply, attempts: int) -> None:
        """The last answer is the one that counts, its `Retry-After` with it."""

        @in_virtual_time
        async def asking() -> None:
            bench = Bench(Server(reply))
            assert await bench.ask() == reply
            assert len(bench.server.asked_at) == attempts

        asking()

    @in_virtual_time
    async def test_nothing_is_repeated_that_could_not_be_answered_in_time(self) -> None:
        """The trouble is told at once instead."""
        bench = Bench(Server(UNREACHABLE, takes=0.99))
        assert await bench.ask() == UNREACHABLE
        assert (len(bench.server.asked_at), clock()) == (1, 0.99)

    @in_virtual_time
    async def test_an_outage_is_not_answered_with_twice_the_load(self) -> None:
        """Of a hundred questions no more than the reserve and a tenth are repeated."""
        patient = LadderSettings(timeout=1.0, retries=1, circuit=BreakerSettings(failures=1000, window=1000))
        bench = Bench(Server(UNREACHABLE), patient)
        for _ in range(100):
            await bench.ask()
        assert len(bench.server.asked_at) == 100 + 10 + 9
        assert bench.told.count(Happening.RETRY_BUDGET_SPENT) == 1

    @in_virtual_time
    async def test_a_circuit_that_opens_ends_the_repetitions(self) -> None:
        """The fifth failure is the last one to be seen."""
        bench = Bench(Server(UNREACHABLE))
        await bench.ask()
        await bench.ask()
        assert len(bench.server.asked_at) == 5


class TestDeadline:
    """One total time for a question, whatever it is spent on."""

    @in_virtual_time
    @pytest.mark.shows("S28")
    async def test_a_server_that_hangs_is_cut_off(self) -> None:
        """And its slot is free again."""
        bench = Bench(Server(takes=3600.0))
        answer = await bench.ask()
        assert reasons([answer]) == ["server_timeout"]
        assert (clock(), bench.server.present) == (1.0, 0)

    @in_virtual_time
    @pytest.mark.shows("S28")
    async def test_attempts_and_pauses_together_take_no_longer(self) -> None:
        """The second attempt gets what the first has left."""
        server = Server(lambda number: UNREACHABLE if number == 0 else FINE, takes=0.7)
        bench = Bench(server)
        assert reasons([await bench.ask()]) == ["server_timeout"]
        assert clock() == 1.0

    @in_virtual_time
    async def test_questions_that_are_cut_off_open_the_circuit(self) -> None:
        """A server that hangs is as bad as one that is gone."""
        roomy = LadderSettings(timeout=1.0, max_concurrent=9, circuit=SETTINGS.circuit)
        bench = Bench(Server(takes=3600.0), roomy)
        await bench.ask_all(5)
        assert reasons([await bench.ask()]) == ["server_circuit_open"]


class TestOverload:
    """So many at once, so many in line, and the rest is told at once."""

    @in_virtual_time
    async def test_no_more_than_allowed_are_at_the_server(self) -> None:
        """The others take their turn in the order of arrival."""
        bench = Bench(Server(takes=0.1))
        assert await bench.ask_all(5) == [FINE] * 5
        assert bench.server.most_present == 2
        assert bench.server.questions == ["q0", "q1", "q2", "q3", "q4"]
        assert clock() == pytest.approx(0.3)

    @pytest.mark.shows("O17", "E66")
    @in_virtual_time
    async def test_who_finds_the_line_full_is_told_at_once(self) -> None:
        """Waiting would only make it longer."""
        bench = Bench(Server(takes=0.1))
        seven = asyncio.create_task(bench.ask_all(7))
        await asyncio.sleep(0.05)
        assert reasons([await bench.ask()]) == ["overloaded"]
        assert clock() == 0.05
        assert reasons(await seven) == [FINE] * 5 + ["overloaded"] * 2
        assert bench.told == [Happening.OVERLOADED] * 3

    @in_virtual_time
    async def test_nobody_waits_for_longer_than_half_of_the_time(self) -> None:
        """Else a slow server would get questions only that have no time left, and answer none."""
        bench = Bench(Server(takes=0.6))
        assert reasons(await bench.ask_all(4)) == [FINE, FINE, "overloaded", "overloaded"]
        assert bench.server.questions == ["q0", "q1"]

    @in_virtual_time
    async def test_overload_of_our_own_does_not_open_the_circuit(self) -> None:
        """The server answers all that it is asked."""
        bench = Bench(Server(takes=0.4))
        await bench.ask_all(100)
        assert await bench.ask() == FINE

    @pytest.mark.parametrize("leaving", [[0], [2], [0, 3], [0, 1, 2, 3, 4]])
    def test_who_goes_away_leaves_room(self, leaving: list[int]) -> None:
        """From a slot or from the line, and the others keep their turn."""

        @in_virtual_time
        async def asking() -> None:
            bench = Bench(Server(takes=0.2))
            callers = [asyncio.create_task(bench.ask(f"q{number}")) for number in range(5)]
            await asyncio.sleep(0.1)
            for number in leaving:
                callers[number].cancel()
            results = await asyncio.gather(*callers, return_exceptions=True)
            assert [isinstance(result, asyncio.CancelledError) for result in results] == [
                number in leaving for number in range(5)
            ]
            assert bench.server.present == 0
            assert await bench.ask_all(5) == [FINE] * 5
            assert bench.server.most_present == 2

        asking()


class TestCircuit:
    """A server in trouble is left alone for a while; one that dislikes a token is not in trouble."""

    @in_virtual_time
    async def test_an_open_circuit_answers_at_once(self) -> None:
        """And says when it will be tried again."""
        bench = Bench(Server(trouble(Reason.SERVER_BUSY)), jitter=0.0)
        for _ in range(5):
            await bench.ask()
        answer = await bench.ask()
        assert answer == Unavailable(reason=Reason.SERVER_CIRCUIT_OPEN, detail="the circuit is open", retry_after=2)
        assert len(bench.server.asked_at) == 5

    @in_virtual_time
    async def test_questions_in_line_are_not_asked_any_more(self) -> None:
        """When the circuit opens while they wait."""
        bench = Bench(Server(trouble(Reason.SERVER_BUSY), takes=0.1))
        for _ in range(4):
            await bench.ask()
        replies = reasons(await bench.ask_all(5))
        assert replies == ["server_busy"] * 2 + ["server_circuit_open"] * 3

    @in_virtual_time
    async def test_one_probe_after_the_pause_and_all_is_well_again(self) -> None:
        """Meanwhile the others are refused."""
        bench = Bench(Server(trouble(Reason.SERVER_BUSY), takes=0.1), jitter=0.0)
        for _ in range(5):
            await bench.ask()
        await asyncio.sleep(2.0)
        bench.server.reply = FINE
        assert reasons(await bench.ask_all(3)) == [FINE, "server_circuit_open", "server_circuit_open"]
        assert await bench.ask_all(3) == [FINE] * 3
        assert bench.told == [Happening.CIRCUIT_OPENED, Happening.CIRCUIT_CLOSED]
        assert bench.observer.happenings[0].detail == "tried again in 2.0 seconds"

    @in_virtual_time
    async def test_a_probe_whose_caller_went_away_is_followed_by_another(self) -> None:
        """It must not keep the circuit open for ever."""
        bench = Bench(Server(trouble(Reason.SERVER_BUSY)), jitter=0.0)
        for _ in range(5):
            await bench.ask()
        await asyncio.sleep(2.0)
        bench.server.reply, bench.server.takes = FINE, 0.5
        probe = asyncio.create_task(bench.ask())
        await asyncio.sleep(0.1)
        probe.cancel()
        assert reasons([await bench.ask()]) == ["server_circuit_open"]
        await asyncio.sleep(2.0)
        assert await bench.ask() == FINE

    @pytest.mark.parametrize(
        "reply",
        [FINE, trouble(Reason.SERVER_REFUSED_US), trouble(Reason.SERVER_ANSWER_INVALID)],
        ids=["an answer", "401 and 403", "404 and garbage"],
    )
    @pytest.mark.shows("S41")
    def test_what_is_no_trouble_of_the_server_never_opens_it(self, reply: Reply) -> None:
        """However often: else one client with odd tokens could shut everybody out."""

        @in_virtual_time
        async def asking() -> None:
            bench = Bench(Server(reply))
            for _ in range(100):
                assert await bench.ask() == reply
            assert bench.told == []

        asking()

    @in_virtual_time
    @pytest.mark.shows("S41")
    async def test_odd_tokens_among_failures_count_as_answers(self) -> None:
        """Four failures of ten are not five."""
        busy, refused = trouble(Reason.SERVER_BUSY), trouble(Reason.SERVER_ANSWER_INVALID)
        bench = Bench(Server(lambda number: busy if number % 10 < 4 else refused))
        for _ in range(100):
            await bench.ask()
        assert len(bench.server.asked_at) == 100
