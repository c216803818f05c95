"""Two decisions about one request, by two policies: whether client or upstream would notice which one was made."""

from enum import StrEnum
from typing import NamedTuple

from extauthz.core.decision import Allow, Decision


class Kind(StrEnum):
    """How the second decision differs. Stable: a metric label and a word of the audit line."""

    OPENED = "opened"
    CLOSED = "closed"
    CHANGED = "changed"
    UNKNOWN = "unknown"
    FAILED = "failed"


class Contrast(NamedTuple):
    """What a candidate policy says otherwise.

    Attributes:
        kind: `OPENED`: it would let pass what was denied; `CLOSED`: it would deny what passed; `CHANGED`: another
            denial or another identity; `UNKNOWN`: it would ask about the token, and nobody did; `FAILED`: it broke.
        decision: what it would have answered; None where that is `UNKNOWN` or `FAILED`.
    """

    kind: Kind
    decision: Decision | None = None


def difference(first: Decision, second: Decision) -> Kind | None:
    """How the second differs from the first; None where nobody would notice. Names of rules are nobody's business."""
    if isinstance(first, Allow) and isinstance(second, Allow):
        same = (first.identity, first.absent) == (second.identity, second.absent)
        return None if same else Kind.CHANGED
    if isinstance(first, Allow):
        return Kind.CLOSED
    if isinstance(second, Allow):
        return Kind.OPENED
    same = (first.reason, first.challenge) == (second.reason, second.challenge)
    return None if same else Kind.CHANGED
