"""One measured figure: a value for each round, and what it should be."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What was measured.

    Attributes:
        key: the target that it belongs to, and a letter where that has several: P3, P4a.
        title: what it is, with its unit.
        values: one for each round.
        target: what it should be at most (`<=`) or at least (`>=`); empty for information only.
        worst: whether the worst round decides and not the median: for counts, which no busy machine excuses.
        digits: behind the point.
    """

    key: str
    title: str
    values: Sequence[float]
    target: str = ""
    worst: bool = False
    digits: int = 2

    @property
    def value(self) -> float:
        """The one that decides."""
        if not self.worst:
            return statistics.median(self.values)
        return max(self.values) if self.target.startswith("<=") else min(self.values)

    @property
    def met(self) -> bool:
        """Whether it is what it should be. True for what has no target."""
        return not self.target or meets(self.value, self.target)

    @property
    def text(self) -> str:
        """For a table: the value, least and greatest."""
        forms = [f"{value:,.{self.digits}f}" for value in (self.value, min(self.values), max(self.values))]
        return f"{forms[0]} ({forms[1]}-{forms[2]})"


Progress = Callable[[str], None]
"""Tells whoever waits how far it is."""


def meets(value: float, limit: str) -> bool:
    """Whether a value is within a limit such as `<= 2.0`."""
    sign, number = limit.split()
    return value <= float(number) if sign == "<=" else value >= float(number)
