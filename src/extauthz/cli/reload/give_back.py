"""The memory of a policy that was replaced, given back a little at a time.

To drop ten thousand routes at once would hold up all requests until the last of them is gone: whatever goes takes with it
what only it holds. So everything in it is held for a moment, and let go in an order in which nothing takes anything along.
"""

import gc
import time
from collections.abc import Iterator
from typing import Final

from extauthz.cli.reload.outcome import giving_way
from extauthz.core.policy import Rule

AT_ONCE: Final = 1000
"""Objects between two pauses: a millisecond or two."""

PAUSE_SECONDS: Final = 0.008

_CONTAINERS: Final = (dict, list, tuple, set, frozenset)
_OURS: Final = "extauthz.core."


def give_back(held: list[object]) -> None:
    """Empty the list; of what is in it, nothing but the list is to hold anything. To be called in a thread of its own."""
    with giving_way():
        parts = _parts(held)
        held.clear()
        for _ in _with_pauses(parts):
            parts.pop()


def _parts(roots: list[object]) -> list[object]:
    """All that they consist of, what holds something behind what it holds."""
    found: dict[int, object] = {}
    waiting = list(roots)
    for _ in _with_pauses(waiting):
        part = waiting.pop()
        if id(part) not in found and _is_part(part):
            found[id(part)] = part
            if not isinstance(part, Rule):  # small enough to go as a whole
                waiting += gc.get_referents(part)
    return list(reversed(found.values()))


def _with_pauses(waiting: list[object]) -> Iterator[None]:
    """Once for each that is in the list, as long as there is one."""
    while waiting:
        for _ in range(AT_ONCE):
            if waiting:
                yield
        time.sleep(PAUSE_SECONDS)


def _is_part(part: object) -> bool:
    """Containers and values of the core; never a class, a function or a module, which all programs share."""
    return isinstance(part, _CONTAINERS) or type(part).__module__.startswith(_OURS)
