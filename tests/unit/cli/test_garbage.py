"""The collector goes through an object that lasts once, and not at every full round."""

import gc
from collections.abc import Iterator

import pytest

from extauthz.cli.garbage import THRESHOLDS, collect_seldom


@pytest.fixture(autouse=True)
def collector_as_before() -> Iterator[None]:
    """Everything that a worker sets for its whole life, taken back."""
    thresholds, callbacks = gc.get_threshold(), list(gc.callbacks)
    yield
    gc.callbacks[:] = callbacks
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_what_a_full_round_has_left_is_not_looked_at_again() -> None:
    collect_seldom()
    lasting = [[number] for number in range(1_000)]
    before = gc.get_freeze_count()
    gc.collect()
    assert gc.get_freeze_count() >= before + len(lasting)


def test_a_young_round_sets_nothing_aside() -> None:
    collect_seldom()
    lasting = [[number] for number in range(1_000)]
    before = gc.get_freeze_count()
    gc.collect(1)
    assert gc.get_freeze_count() == before
    assert len(lasting) == 1_000


def test_a_full_round_comes_before_a_hundred_thousand_objects_wait_for_it() -> None:
    collect_seldom()
    young, middle, old = gc.get_threshold()
    assert (young, middle, old) == THRESHOLDS
    assert young * middle * old <= 100_000
