"""The laws that hold whatever the numbers are, and the arithmetic against a simulation of chance."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from bench.model import Load, Setting, Users, asked, load

ONE_HOUR = Setting(ttl=60, lifetime=3600, workers=4, shared=True)
USERS = [Users(count=1000, rate=0.5), Users(count=9000, rate=0.01)]

SETTINGS = st.builds(
    Setting,
    ttl=st.floats(5, 4000),
    lifetime=st.floats(60, 4000),
    workers=st.integers(1, 20),
    shared=st.booleans(),
)


@settings(max_examples=60)
@given(SETTINGS, st.floats(1.01, 5))
def test_a_longer_ttl_never_asks_more_and_never_hits_less(setting: Setting, factor: float) -> None:
    """And an answer may be older."""
    short, long = load(USERS, setting), load(USERS, replace(setting, ttl=setting.ttl * factor))
    assert long.questions <= short.questions * (1 + 1e-9)
    assert long.hit_rate >= short.hit_rate - 1e-9
    assert long.staleness >= short.staleness


@settings(max_examples=60)
@given(SETTINGS)
def test_no_answer_is_older_than_the_ttl(setting: Setting) -> None:
    """Nor than its token, and the average is at most half of it."""
    found = load(USERS, setting)
    assert found.staleness <= min(setting.ttl, setting.lifetime)
    assert 0 <= found.mean_age <= found.staleness / 2


@settings(max_examples=60)
@given(SETTINGS)
def test_with_no_end_to_the_ttl_the_server_is_asked_once_for_each_token(setting: Setting) -> None:
    """Where answers are shared: the load is the churn."""
    found = load(USERS, replace(setting, ttl=math.inf, shared=True))
    assert found.questions == pytest.approx(found.churn)


@settings(max_examples=60)
@given(SETTINGS)
def test_nothing_is_asked_more_often_than_it_is_requested(setting: Setting) -> None:
    """And every new token is asked about."""
    found = load(USERS, setting)
    assert found.churn * (1 - 1e-9) <= found.questions <= found.memory_misses * (1 + 1e-9)
    assert found.memory_misses <= found.requests * (1 + 1e-9)


@settings(max_examples=60)
@given(SETTINGS, st.integers(1, 20))
def test_more_workers_ask_more_unless_they_share(setting: Setting, more: int) -> None:
    """With a Redis in common the authorization server does not notice how many there are."""
    alone, shared = replace(setting, shared=False), replace(setting, shared=True)
    assert load(USERS, replace(alone, workers=alone.workers + more)).questions >= load(USERS, alone).questions - 1e-9
    assert load(USERS, replace(shared, workers=shared.workers + more)).questions == load(USERS, shared).questions


@settings(max_examples=60)
@given(SETTINGS)
def test_one_worker_gains_nothing_from_sharing(setting: Setting) -> None:
    """It has all there is in its own memory."""
    one = replace(setting, workers=1)
    shared, alone = load(USERS, replace(one, shared=True)), load(USERS, replace(one, shared=False))
    assert shared.questions == pytest.approx(alone.questions)
    assert shared.memory_misses == pytest.approx(alone.memory_misses)


@settings(max_examples=60)
@given(SETTINGS, st.floats(0.1, 10))
def test_twice_the_users_are_twice_the_load(setting: Setting, factor: float) -> None:
    """What they do does not depend on each other."""
    many = [replace(group, count=group.count * factor) for group in USERS]
    one, other = load(USERS, setting), load(many, setting)
    for name in ("requests", "churn", "questions", "memory_misses", "shared_commands", "entries"):
        assert getattr(other, name) == pytest.approx(getattr(one, name) * factor)


@settings(max_examples=60)
@given(SETTINGS)
def test_a_worker_holds_no_more_answers_than_there_are_users(setting: Setting) -> None:
    """Each holds one token at a time."""
    assert load(USERS, setting).entries <= sum(group.count for group in USERS) * (1 + 1e-9)


@pytest.mark.parametrize(("rate", "ttl", "lifetime"), [(0.02, 60, 600), (0.5, 60, 610), (0.001, 300, 900)])
def test_the_arithmetic_agrees_with_chance(rate: float, ttl: float, lifetime: float) -> None:
    """Lives of a token played out one request after the other."""
    chance = random.Random(7)  # noqa: S311 - the same every time
    lives = [_played(chance, rate, ttl, lifetime) for _ in range(4000)]
    setting = Setting(ttl=ttl, lifetime=lifetime, workers=1, shared=False)
    assert asked(rate, setting) == pytest.approx(sum(lives) / len(lives), rel=0.03)


def _played(chance: random.Random, rate: float, ttl: float, lifetime: float) -> int:
    now, questions = 0.0, 0
    while now < lifetime:
        questions += 1
        now += ttl + chance.expovariate(rate)  # nothing happens to requests while the answer is kept
    return questions


def test_a_load_says_its_rates() -> None:
    """As shares of all decisions."""
    found = Load(
        requests=100,
        churn=1,
        questions=5,
        memory_misses=20,
        shared_commands=25,
        entries=9,
        staleness=60,
        mean_age=24,
    )
    assert (found.memory_hit_rate, found.hit_rate) == (0.8, 0.95)
