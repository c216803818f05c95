"""One question at a time: callers that want the same answer share one flight.

The flight is a task of its own and callers wait behind a shield: one that goes away takes nobody with it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    started: float


class SingleFlight(Generic[T]):
    """Shares running work by key. The work must not raise."""

    def __init__(self) -> None:
        self._flights: dict[bytes, _Flight[T]] = {}
        self._tasks: set[asyncio.Task[T]] = set()

    def in_the_air(self, key: bytes, *, newer_than: float) -> bool:
        """Whether `run`, called now, would join a flight."""
        flight = self._flights.get(key)
        return flight is not None and flight.started > newer_than

    async def run(
        self,
        key: bytes,
        work: Callable[[], Coroutine[Any, Any, T]],
        *,
        now: float,
        newer_than: float,
        context: Context | None = None,
    ) -> T:
        """The result of a flight that started after `newer_than`: one in the air, or else a new one started at `now`."""
        flight = self._flights.get(key)
        if flight is None or flight.started <= newer_than:
            flight = _Flight(asyncio.create_task(work(), context=context), now)
            self._flights[key] = flight
            self._tasks.add(flight.task)
            flight.task.add_done_callback(lambda _: self._land(key, flight))
        return await asyncio.shield(flight.task)

    def _land(self, key: bytes, flight: _Flight[T]) -> None:
        self._tasks.discard(flight.task)
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def close(self) -> None:
        """Cancel what is still in the air and wait until it is gone."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __len__(self) -> int:
        return len(self._flights)
