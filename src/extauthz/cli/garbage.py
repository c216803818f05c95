"""How a worker looks for reference cycles: seldom, and never twice at the same objects.

Tokens in the cache are many and live long. A collector that goes through all of them again and again stops the process
for as long as an authorization server may take to answer, and every question in flight then counts as a timeout.
"""

import gc
from collections.abc import Mapping

THRESHOLDS = (5_000, 4, 4)
"""Objects more than before, and rounds of the younger generation: a full round looks at about 100,000 objects, which
takes some 20 ms. Checks make no cycles, so Python's own 700 objects would find nothing and cost much."""

_OLDEST = 2


def collect_seldom() -> None:
    """To be called once, when everything that lasts has been made."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    gc.callbacks.append(_set_aside)


def _set_aside(phase: str, info: Mapping[str, int]) -> None:
    """What a full round has left is in use: later rounds need not look at it, and counting references frees it."""
    if phase == "stop" and info["generation"] == _OLDEST:
        gc.freeze()
