"""A bounded room for entries that end: the least recently used one makes place."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

V = TypeVar("V")


class Room(Generic[V]):
    """Values by key, each until its end by the clock.

    A look-up is most of what happens here, so it is one step through a table and one in the order of use. What has
    ended is dropped when it comes to be the least recently used, or when it is looked for.
    """

    def __init__(self, max_entries: int, *, end: Callable[[V], float], clock: Callable[[], float]) -> None:
        self._max_entries = max_entries
        self._end = end
        self._clock = clock
        self._values: OrderedDict[bytes, V] = OrderedDict()

    def get(self, key: bytes) -> V | None:
        """The value, or None when there is none or it has ended."""
        value = self._values.get(key)
        if value is None:
            return None
        if self._end(value) <= self._clock():
            del self._values[key]
            return None
        self._values.move_to_end(key)
        return value

    def put(self, key: bytes, value: V) -> None:
        """Keep a value, unless it has ended already; one that is there under the key is replaced in any case."""
        self.drop(key)
        now = self._clock()
        while self._values and (len(self) >= self._max_entries or self._end(next(iter(self._values.values()))) <= now):
            self._values.popitem(last=False)
        if self._end(value) > now:
            self._values[key] = value

    def drop(self, key: bytes) -> None:
        """Forget the value, if there is one."""
        self._values.pop(key, None)

    def __len__(self) -> int:
        return len(self._values)
