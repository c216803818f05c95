"""How often something happened within the last minute. Pure: the time is an argument, in seconds of any steady clock.

Of the minute before, as much counts as still lies within the last sixty seconds. Two minutes are kept, so what does
not happen any more is forgotten by itself.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

WINDOW_SECONDS: Final = 60.0

MAX_KEYS: Final = 100_000
"""Counted apart within one minute; those beyond are counted together."""

Name = tuple[str, str]
"""A kind of thing, and whose."""

_OTHERS: Final = ("", "")


class SlidingCounts:
    """Counts by name, in bounded memory."""

    def __init__(self) -> None:
        self._minute = 0
        self._now: Counter[Name] = Counter()
        self._before: Counter[Name] = Counter()

    def add(self, name: Name, now: float) -> None:
        """Count one more."""
        self._turn(now)
        self._now[self._known(name)] += 1

    def seen(self, name: Name, now: float) -> float:
        """Return how many it were within the last minute."""
        passed = self._turn(now)
        name = self._known(name)
        return self._now[name] + self._before[name] * (1 - passed / WINDOW_SECONDS)

    def _turn(self, now: float) -> float:
        """Begin a new minute where it is time; seconds of the minute that have passed."""
        minute, passed = divmod(now, WINDOW_SECONDS)
        if minute != self._minute:
            self._before = self._now if minute == self._minute + 1 else Counter()
            self._now = Counter()
            self._minute = int(minute)
        return passed

    def _known(self, name: Name) -> Name:
        return name if name in self._now or len(self._now) < MAX_KEYS else _OTHERS
