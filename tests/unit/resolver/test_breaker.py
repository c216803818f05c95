"""A circuit opens on failures, waits, and closes again on one good probe."""

import pytest

from extauthz.resolver.breaker import Breaker, BreakerSettings, State
from extauthz.testing import TickingClock

SETTINGS = BreakerSettings(failures=3, window=5, open_seconds=1.0, max_open_seconds=8.0)


class Circuit:
    """A breaker with its clock, no jitter unless told, and the states that it announced."""

    def __init__(self, settings: BreakerSettings = SETTINGS, jitter: float = 0.0) -> None:
        self.clock = TickingClock(0.0)
        self.told: list[State] = []
        self.breaker = Breaker(settings, self.clock, random=lambda: jitter, on_change=self.told.append)

    def report(self, results: str) -> None:
        """`x` is a failure, `.` a success."""
        for result in results:
            (self.breaker.failed if result == "x" else self.breaker.succeeded)()

    def wait(self, seconds: float) -> bool:
        """Let time pass, then ask whether to try."""
        self.clock.advance(seconds)
        return self.breaker.allow()


class TestOpening:
    """It opens when enough of the last results failed, and only then."""

    @pytest.mark.parametrize(
        ("results", "state"),
        [
            ("", State.CLOSED),
            ("....", State.CLOSED),
            ("xx", State.CLOSED),
            ("xxx", State.OPEN),
            ("x.x.x", State.OPEN),
            ("x.x..x", State.CLOSED),
            ("xx...xx", State.CLOSED),
            ("xx...xx.x", State.OPEN),
        ],
    )
    def test_three_failures_of_the_last_five(self, results: str, state: State) -> None:
        """Older results are forgotten."""
        circuit = Circuit()
        circuit.report(results)
        assert circuit.breaker.state is state
        assert circuit.breaker.allow() == (state is State.CLOSED)

    def test_a_window_as_long_as_the_failures_means_in_a_row(self) -> None:
        """One success in between starts the count anew."""
        patient, failing = (Circuit(BreakerSettings(failures=3, window=3)) for _ in range(2))
        patient.report("xx.xx")
        failing.report("xx.xxx")
        assert (patient.breaker.state, failing.breaker.state) == (State.CLOSED, State.OPEN)

    def test_time_alone_forgets_no_failure(self) -> None:
        """The rule counts results: a server that is asked once a minute and always fails opens its circuit too."""
        circuit = Circuit()
        for _ in range(3):
            circuit.report("x")
            circuit.clock.advance(60.0)
        assert circuit.breaker.state is State.OPEN


class TestOpen:
    """While it is open nothing passes, and late results change nothing."""

    def test_nothing_passes_until_the_pause_is_over(self) -> None:
        """`rest` says how long that will be."""
        circuit = Circuit()
        circuit.report("xxx")
        assert circuit.breaker.rest == 1.0
        assert not circuit.wait(0.75)
        assert circuit.breaker.rest == 0.25
        assert circuit.wait(0.25)

    @pytest.mark.parametrize("late", [".", "x", "...xxx"])
    def test_late_results_neither_close_it_nor_lengthen_the_pause(self, late: str) -> None:
        """They were asked for before it opened."""
        circuit = Circuit()
        circuit.report("xxx")
        circuit.report(late)
        assert circuit.breaker.state is State.OPEN
        assert circuit.breaker.rest == 1.0


class TestProbing:
    """After the pause one question at a time passes, and its result decides."""

    def test_one_probe_at_a_time(self) -> None:
        """Everybody else is refused meanwhile."""
        circuit = Circuit()
        circuit.report("xxx")
        assert circuit.wait(1.0)
        assert [circuit.breaker.allow() for _ in range(3)] == [False] * 3
        assert circuit.breaker.state is State.HALF_OPEN

    def test_a_good_probe_closes_it_with_a_clean_slate(self) -> None:
        """Failures from before do not count any more."""
        circuit = Circuit()
        circuit.report("xxx")
        circuit.wait(1.0)
        circuit.report(".xx")
        assert circuit.breaker.state is State.CLOSED
        assert circuit.breaker.rest == 0.0

    def test_each_failed_probe_doubles_the_pause_up_to_the_longest(self) -> None:
        """And a recovery starts again from the shortest."""
        circuit = Circuit()
        circuit.report("xxx")
        pauses = []
        for _ in range(5):
            pauses.append(circuit.breaker.rest)
            assert circuit.wait(circuit.breaker.rest)
            circuit.report("x")
        assert pauses == [1.0, 2.0, 4.0, 8.0, 8.0]
        circuit.wait(8.0)
        circuit.report(".xxx")
        assert circuit.breaker.rest == 1.0

    def test_jitter_lengthens_a_pause_by_a_quarter_at_most(self) -> None:
        """Never shortens it."""
        circuit = Circuit(jitter=1.0)
        circuit.report("xxx")
        assert circuit.breaker.rest == 1.25

    def test_a_probe_that_nobody_reports_on_holds_nothing_up(self) -> None:
        """Its caller was cancelled: after one more pause the next one may try."""
        circuit = Circuit()
        circuit.report("xxx")
        assert circuit.wait(1.0)
        assert not circuit.wait(0.9)
        assert circuit.wait(0.1)
        circuit.report(".")
        assert circuit.breaker.state is State.CLOSED


def test_opening_and_closing_are_told_once_and_probes_are_not() -> None:
    """An outage is two lines in a log, however long it lasts."""
    circuit = Circuit()
    circuit.report("xxxx")
    circuit.wait(1.0)
    circuit.report("x")
    circuit.wait(2.0)
    circuit.report("..")
    assert circuit.told == [State.OPEN, State.CLOSED]
