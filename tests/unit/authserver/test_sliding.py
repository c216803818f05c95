"""Counting within a minute, with the time as an argument."""

from __future__ import annotations

from extauthz.authserver import sliding
from extauthz.authserver.sliding import SlidingCounts

NAME = ("kind", "key")


def test_the_minute_slides() -> None:
    """What happened in the minute before counts by the part of it that is not yet over, and then no more."""
    counts = SlidingCounts()
    for _ in range(10):
        counts.add(NAME, 60.0)
    assert counts.seen(NAME, 119.0) == 10
    assert counts.seen(NAME, 150.0) == 5
    assert counts.seen(NAME, 180.0) == 0


def test_a_long_silence_forgets_everything() -> None:
    """What is two minutes ago is not what was a minute before."""
    counts = SlidingCounts()
    counts.add(NAME, 60.0)
    assert counts.seen(NAME, 600.0) == 0


def test_memory_is_bounded() -> None:
    """Beyond a number of names, new ones are counted together: too strictly, and not without bound."""
    counts = SlidingCounts()
    for number in range(sliding.MAX_KEYS + 10):
        counts.add(("kind", str(number)), 60.0)
    assert counts.seen(("kind", "0"), 60.0) == 1
    assert counts.seen(("kind", "never seen"), 60.0) == 10
