"""Trouble that goes on is told when it begins, and now and then while it lasts."""

from collections.abc import Callable, Hashable
from typing import Final

REPEAT_SECONDS: Final = 10.0
"""Trouble that goes on is told again this often."""


class Seldom:
    """Remembers which kinds of trouble were told of late."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._told_at: dict[Hashable, float] = {}

    def is_due(self, kind: Hashable) -> bool:
        """Whether to tell of it now: then it counts as told."""
        now = self._monotonic()
        self._told_at = {each: at for each, at in self._told_at.items() if now - at < REPEAT_SECONDS}
        if kind in self._told_at:
            return False
        self._told_at[kind] = now
        return True
