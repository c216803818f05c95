"""Decisions as metrics: how many, how long they took, and which of them spared the authorization server a question."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from functools import partial

from prometheus_client import CollectorRegistry, Counter as CounterMetric, Histogram

from extauthz.core.decision import ALLOWING, Reason, true_reason
from extauthz.observe.events import Checked

_BUCKETS = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)

_ASKED = frozenset({"", "server"})
"""Levels of decisions that saved no question: none was needed, or it was asked."""

_INACTIVE = frozenset({Reason.INACTIVE, Reason.WRONG_ISSUER, Reason.NOT_AN_ACCESS_TOKEN, Reason.SENDER_CONSTRAINED})


class Decisions:
    """Counts decisions in numbers of our own: the library takes its time for each, and learns of them in `flush`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(CounterMetric, registry=registry)
        self._decisions = counter("extauthz_decisions", "Decisions made.", ("door", "outcome", "reason", "rule"))
        self._shadowed = counter(
            "extauthz_shadowed",
            "Requests that a shadow route let pass, by the reason for which it would have denied them.",
            ("reason", "rule"),
        )
        self._contrasts = counter(
            "extauthz_candidate_contrasts",
            "Requests about which the candidate policy says otherwise, by the rule that decided them.",
            ("kind", "rule"),
        )
        self._seconds = Histogram(
            "extauthz_check_seconds",
            "Time from question to answer, by where the token's state came from (empty: no token was needed).",
            ("level",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._made: Counter[tuple[str, Reason, str, str]] = Counter()
        self._known: dict[tuple[str, Reason, str], CounterMetric] = {}
        self._times: defaultdict[str, list[float]] = defaultdict(list)

    def record(self, events: Sequence[Checked]) -> None:
        """Count these."""
        self._made.update([(event.door, event.decision.reason, event.decision.rule, event.level) for event in events])
        for event in events:
            self._times[event.level].append(event.took_seconds)
            if event.decision.reason is Reason.SHADOW:
                self._shadowed.labels(true_reason(event.decision).value, event.decision.rule).inc()
            if event.contrast is not None:
                self._contrasts.labels(event.contrast.kind.value, event.decision.rule).inc()

    def flush(self) -> Counter[str]:
        """Publish what was counted; how many questions that saved, by what saved them."""
        made, self._made = self._made, Counter()
        times, self._times = self._times, defaultdict(list)
        saved: Counter[str] = Counter()
        for (door, reason, rule, level), count in made.items():
            self._decisions_of(door, reason, rule).inc(count)
            if level not in _ASKED:
                saved[_saved_by(level, reason)] += count
        for level, seconds in times.items():
            _observe_all(self._seconds.labels(level), seconds)
        return saved

    def _decisions_of(self, door: str, reason: Reason, rule: str) -> CounterMetric:
        """The counter of this kind of decisions; the library looks long for it."""
        key = door, reason, rule
        if key not in self._known:
            outcome = "allow" if reason in ALLOWING else "deny"
            self._known[key] = self._decisions.labels(door, outcome, reason.value, rule)
        return self._known[key]


def _saved_by(level: str, reason: Reason) -> str:
    """The level, but what is known about bad tokens and what limits them are told apart from what good ones save."""
    if reason is Reason.TOO_MANY_INACTIVE:
        return "limit"
    if level == "refused":
        return "shape"
    return "negative" if level == "memory" and reason in _INACTIVE else level


def _observe_all(histogram: Histogram, values: list[float]) -> None:
    """`histogram.observe` for many values: the library has no call for that, so this reaches into it."""
    buckets = Counter(bisect_left(_BUCKETS, value) for value in values)
    for index, count in buckets.items():
        histogram._buckets[index].inc(count)  # noqa: SLF001 - see above; a test compares with `observe`
    histogram._sum.inc(sum(values))  # noqa: SLF001 - see above
