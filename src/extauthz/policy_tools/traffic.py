"""Recorded requests for a running instance: which can be asked again, and what became of them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from extauthz.core.decision import ALLOWING, Reason
from extauthz.policy_tools.record import WITHOUT_TOKEN, Recorded

_PASSING = ALLOWING - {Reason.SHADOW}


class Sent(NamedTuple):
    """One request that was asked again.

    Attributes:
        recorded: how it ended then.
        reason: how it ended now; empty when there was no answer, or one that is not extauthz's.
        seconds: from question to answer.
    """

    recorded: Recorded
    reason: str
    seconds: float


class Summary(NamedTuple):
    """What became of all of them.

    Attributes:
        changed: for each (method, path, reason then, reason now), how often; the most frequent first.
        unanswered: how many got no answer.
        percentiles: seconds, by name.
    """

    changed: Mapping[tuple[str, str, str, str], int]
    unanswered: int
    percentiles: Mapping[str, float]


def token_for(recorded: Recorded, tokens: Mapping[str, str]) -> str | None:
    """The token to ask with: empty for none, None when the line had one that nobody gave us."""
    if recorded.reason in WITHOUT_TOKEN:
        return ""
    return tokens.get(recorded.sub or "") or tokens.get(recorded.client_id or "")


def summary(sent: Iterable[Sent]) -> Summary:
    """Compare then and now; passing by an old answer is passing."""
    sent = [*sent]
    changed = Counter(
        (each.recorded.method, each.recorded.path, each.recorded.answered.value, each.reason)
        for each in sent
        if each.reason and not _alike(each.recorded.answered, each.reason)
    )
    answered = sorted(each.seconds for each in sent if each.reason)
    return Summary(dict(changed.most_common()), len(sent) - len(answered), _percentiles(answered))


def _alike(then: Reason, now: str) -> bool:
    return then.value == now or (then in _PASSING and now in _PASSING)


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Nearest rank."""
    if not seconds:
        return {}
    last = len(seconds) - 1
    ranks = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return {name: seconds[round(rank * last)] for name, rank in ranks.items()}
