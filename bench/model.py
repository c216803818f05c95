"""What caches save when many users come: arithmetic, without a clock or chance.

Each user sends requests at random (a Poisson process) and holds one token at a time. The first request after a token has
ended brings the next one, so a token is used when its life begins. A worker asks about a token that it does not know,
keeps the answer for the ttl, and never longer than the token lives. A user's requests go to any worker, or to any of a
few.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_WIDE = 12
"""Standard deviations beyond which nothing happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """A group of users who are alike. `rate`: requests per second of each."""

    count: float
    rate: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How tokens are kept.

    Attributes:
        ttl: seconds that an answer is kept.
        lifetime: seconds from the issue of a token to its `exp`.
        workers: processes with a memory of their own.
        shared: whether they have a Redis in common.
        reach: how many workers the requests of one user go to; all of them unless said.
    """

    ttl: float
    lifetime: float
    workers: int
    shared: bool
    reach: int | None = None

    @property
    def spread(self) -> int:
        """How many workers see one user."""
        return self.workers if self.reach is None else min(self.reach, self.workers)

    @property
    def kept(self) -> float:
        """Seconds that an answer is kept at most: no answer outlives its token."""
        return min(self.ttl, self.lifetime)


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What comes of it; all but the last three per second.

    Attributes:
        requests: decisions.
        churn: new tokens.
        questions: introspections.
        memory_misses: answers that were not in the worker's memory.
        shared_commands: to Redis, for answers.
        entries: answers in the memory of one worker, at most.
        staleness: seconds that an answer may be old at most.
        mean_age: seconds that it is old on average when it is used.
    """

    requests: float
    churn: float
    questions: float
    memory_misses: float
    shared_commands: float
    entries: float
    staleness: float
    mean_age: float

    @property
    def memory_hit_rate(self) -> float:
        """Share of the decisions that a worker makes from its own memory."""
        return 1 - self.memory_misses / self.requests

    @property
    def hit_rate(self) -> float:
        """Share of the decisions for which the authorization server is not asked."""
        return 1 - self.questions / self.requests


def load(users: Sequence[Users], setting: Setting) -> Load:
    """The load of all groups together."""
    requests = sum(group.count * group.rate for group in users)
    churn = sum(group.count * _tokens(group.rate, setting) for group in users)
    alone = sum(group.count * _questions_alone(group.rate, setting) for group in users)
    once = sum(group.count * _tokens(group.rate, setting) * asked(group.rate, setting) for group in users)
    others = sum(group.count * _read_by_others(group.rate, setting) for group in users)
    questions = once if setting.shared else alone
    misses = once + others if setting.shared else alone
    return Load(
        requests=requests,
        churn=churn,
        questions=questions,
        memory_misses=misses,
        shared_commands=2 * once + others if setting.shared else 0.0,  # who asks has looked and taken the lease at once
        entries=min(misses * setting.kept, sum(group.count for group in users) * setting.spread) / setting.workers,
        staleness=setting.kept,
        mean_age=(1 - misses / requests) * setting.kept / 2,
    )


def _tokens(rate: float, setting: Setting) -> float:
    """New tokens per second of a user: a life, then the wait for the request that needs the next one."""
    return 1 / (setting.lifetime + 1 / rate)


def asked(rate: float, setting: Setting, *, at_birth: bool = True) -> float:
    """Questions about one token in its life, by one cache that sees so many requests per second.

    Question number k comes after k answers have ended and k more requests have come; `at_birth` the first comes at once.
    """
    periods = math.ceil(setting.lifetime / setting.kept)
    return sum(
        _at_least(k if at_birth else k + 1, rate * (setting.lifetime - k * setting.kept)) for k in range(periods)
    )


def _at_least(count: int, mean: float) -> float:
    """The chance that a Poisson variable is at least so large."""
    if count <= 0 or count < mean - _WIDE * math.sqrt(mean) - _WIDE:
        return 1.0
    if mean <= 0 or count > mean + _WIDE * math.sqrt(mean) + _WIDE:
        return 0.0
    least = max(0, math.floor(mean - _WIDE * math.sqrt(mean) - _WIDE))
    below = (math.exp(n * math.log(mean) - mean - math.lgamma(n + 1)) for n in range(least, count))
    return max(0.0, 1 - math.fsum(below))


def _questions_alone(rate: float, setting: Setting) -> float:
    """Per second, when each worker asks for itself: one of them sees the first request of the token."""
    share = rate / setting.spread
    others = asked(share, setting, at_birth=False) * (setting.spread - 1)
    return _tokens(rate, setting) * (asked(share, setting) + others)


def _read_by_others(rate: float, setting: Setting) -> float:
    """Answers per second that workers take from what another one has asked."""
    sees_it = 1 - math.exp(-rate * setting.kept / setting.spread)
    return _tokens(rate, setting) * asked(rate, setting) * (setting.spread - 1) * sees_it
