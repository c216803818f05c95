"""Look-ups that wait together go together: under load one trip to the storage serves many callers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

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
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._runner: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """Return the value of the key, or ``None`` if there is none. Raises what the trip raises."""
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._runner is None:
            self._runner = asyncio.create_task(self._run())
        return await asyncio.shield(future)

    async def _run(self) -> None:
        while self._waiting:
            keys = list(self._waiting)[:MAX_TOGETHER]
            futures = {key: self._waiting.pop(key) for key in keys}
            try:
                found = await self._trip(keys)
            except Exception as error:  # noqa: BLE001 - every caller of this trip gets it
                _refuse_all(futures.values(), error)
            else:
                for key, future in futures.items():
                    future.set_result(found.get(key))
        self._runner = None


def _refuse_all(futures: Iterable[asyncio.Future[V | None]], error: Exception) -> None:
    for future in futures:
        future.set_exception(error)
        future.exception()  # a caller that has gone away leaves nobody to look at it
