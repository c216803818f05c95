"""Look-ups that wait together go together: under load one trip to the storage serves many callers."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence

K = TypeVar("K")
V = TypeVar("V")

MAX_TOGETHER = 256
"""Keys of one trip."""


class Gatherer(Generic[K, V]):
    """Collects the keys that are asked for while a trip is under way; the next trip takes them all.

    A trip begins after every call that it serves, so each caller sees all changes that had returned before it asked.
    """

    def __init__(self, trip: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._trip = trip
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._runner: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """Return the value of the key, or ``None`` if there is none. Raises what the trip raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[V | None] = loop.create_future()
        self._waiting.setdefault(key, []).append(future)
        if self._runner is None:
            self._runner = loop.create_task(self._run())
        return await future

    async def _run(self) -> None:
        while self._waiting:
            keys = list(itertools.islice(self._waiting, MAX_TOGETHER))
            waiting = {key: self._waiting.pop(key) for key in keys}
            try:
                found = await self._trip(keys)
            except Exception as error:  # noqa: BLE001 - every caller of this trip gets it
                for future in _still_wanted(waiting.values()):
                    future.set_exception(error)
                    future.exception()  # who is cancelled only now does not look at it
            else:
                for key, futures in waiting.items():
                    for future in _still_wanted([futures]):
                        future.set_result(found.get(key))
        self._runner = None


def _still_wanted(waiting: Iterable[list[asyncio.Future[V | None]]]) -> Iterator[asyncio.Future[V | None]]:
    """A caller that has gone away has cancelled its future."""
    return (future for futures in waiting for future in futures if not future.done())
