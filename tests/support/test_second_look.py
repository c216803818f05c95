"""Tests that failed once are looked at again, and only those that pass every time are forgiven."""

from collections.abc import Sequence

import pytest

from support.second_look import MOST, TIMES, unsteady

A_FEW = ["a.py::test_a", "b.py::test_b"]


@pytest.mark.parametrize(
    ("failed", "outcomes", "forgiven"),
    [
        (A_FEW, [True] * TIMES, True),
        (A_FEW, [False], False),
        (A_FEW, [True] * (TIMES - 1) + [False], False),
        ([f"a.py::test_{number}" for number in range(MOST + 1)], [], False),
        ([], [], False),
    ],
    ids=["passes each time", "fails again", "fails at last", "too many", "no test failed, and yet pytest did"],
)
def test_what_fails_again_is_broken(failed: list[str], outcomes: list[bool], forgiven: bool) -> None:
    """Nothing is run once more than it takes to know."""
    left = list(outcomes)

    def passes(tests: Sequence[str]) -> bool:
        assert tests == failed
        return left.pop(0)

    assert unsteady(failed, passes) is forgiven
    assert not left
