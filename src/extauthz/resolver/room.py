"""A bounded room for values that end: the least recently used ones make place."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")


class Room(Generic[V]):
    """Values by key, each until its end.

    To look something up is nearly all that happens here, so it is one step in a table and one in the order of use.
    """

    def __init__(
        self, max_weight: int, *, weight: Callable[[V], int], end: Callable[[V], float], clock: Callable[[], float]
    ) -> None:
        """All weights together are at most `max_weight`. `end` is a time by `clock`; both may not change for a value."""
        self._max_weight = max_weight
        self._weight = weight
        self._end = end
        self._clock = clock
        self._values: OrderedDict[bytes, V] = OrderedDict()
        self._used = 0

    def get(self, key: bytes) -> V | None:
        """The value, or None when there is none or it has ended."""
        value = self._values.get(key)
        if value is None:
            return None
        if self._end(value) <= self._clock():
            self.drop(key)
            return None
        self._values.move_to_end(key)
        return value

    def put(self, key: bytes, value: V) -> None:
        """Keep a value instead of the one that is there, unless it has ended already or is larger than the room."""
        self.drop(key)
        weight, now = self._weight(value), self._clock()
        if weight > self._max_weight or self._end(value) <= now:
            return
        while self._values and (self._used + weight > self._max_weight or self._end(self._oldest()) <= now):
            _, gone = self._values.popitem(last=False)
            self._used -= self._weight(gone)
        self._values[key] = value
        self._used += weight

    def drop(self, key: bytes) -> None:
        """Forget the value, if there is one."""
        gone = self._values.pop(key, None)
        if gone is not None:
            self._used -= self._weight(gone)

    def _oldest(self) -> V:
        return next(iter(self._values.values()))

    def __len__(self) -> int:
        return len(self._values)
