"""The collector goes through an object that lasts once, and not at every full round."""

import gc
from collections.abc import Iterator

import pytest

from extauthz.cli.garbage import THRESHOLDS, collect_seldom

LASTING = 10_000
"""Objects that a test makes. What is set aside is counted for the whole process, whose other parts go on making and
freeing objects of their own meanwhile: only a count far from theirs tells anything."""


@pytest.fixture(autouse=True)
def collector_as_before() -> Iterator[None]:
    """Everything that a worker sets for its whole life, taken back."""
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    yield
    gc.enable()
    gc.callbacks[:] = callbacks
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_what_a_full_round_has_left_is_not_looked_at_again() -> None:
    collect_seldom()
    gc.disable()  # a round by itself, between the two counts, would set aside what the test asks for
    before = gc.get_freeze_count()
    lasting = [[number] for number in range(LASTING)]
    gc.collect()
    assert gc.get_freeze_count() - before > len(lasting) // 2


def test_a_young_round_sets_nothing_aside() -> None:
    collect_seldom()
    gc.disable()
    before = gc.get_freeze_count()
    lasting = [[number] for number in range(LASTING)]
    gc.collect(1)
    assert gc.get_freeze_count() - before < len(lasting) // 2


def test_a_full_round_comes_before_a_hundred_thousand_objects_wait_for_it() -> None:
    collect_seldom()
    young, middle, old = gc.get_threshold()
    assert (young, middle, old) == THRESHOLDS
    assert young * middle * old <= 100_000
