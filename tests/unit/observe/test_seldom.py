"""Of trouble that goes on there is a line now and then, and of other trouble at once."""

from extauthz.observe.seldom import REPEAT_SECONDS, Seldom
from extauthz.testing import TickingClock


def test_a_kind_is_due_at_once_and_again_when_its_time_is_over() -> None:
    """By the clock, however often it happens."""
    clock = TickingClock()
    seldom = Seldom(clock)
    due = []
    for seconds in (0.0, 0.0, REPEAT_SECONDS - 0.001, 0.001):
        clock.advance(seconds)
        due.append(seldom.is_due("a"))
    assert due == [True, False, False, True]


def test_kinds_have_their_own_times() -> None:
    """Those that take turns are told no more often."""
    seldom = Seldom(TickingClock())
    assert [seldom.is_due(kind) for kind in "abababc"] == [True, True, False, False, False, False, True]


def test_what_was_told_long_ago_takes_no_room() -> None:
    """However many kinds there have been."""
    clock = TickingClock()
    seldom = Seldom(clock)
    for kind in range(100):
        assert seldom.is_due(kind)
        clock.advance(REPEAT_SECONDS)
    assert len(seldom._told_at) == 1  # noqa: SLF001 - what it remembers
