"""One question at a time: callers that want the same answer share one flight.

The flight is a task of its own, and each caller waits for its result by itself: one that goes away takes nobody with it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class NotInTimeError(Exception):
    """The caller could not wait for as long as the work takes."""


class _Flight(Generic[T]):
    """Work in the air, and who waits for its result."""

    __slots__ = ("_waiters", "started")

    def __init__(self, started: float) -> None:
        self.started = started
        self._waiters: list[asyncio.Future[T]] = []

    def board(self) -> "asyncio.Future[T]":
        """Where one caller waits; no other must."""
        waiter: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        return waiter

    def tell(self, say: "Callable[[asyncio.Future[T]], object]") -> int:
        """Say it to all who still wait; how many these are."""
        waiting = [waiter for waiter in self._waiters if not waiter.done()]
        for waiter in waiting:
            say(waiter)
        return len(waiting)


class SingleFlight(Generic[T]):
    """Shares running work by key. What the work raises, every caller gets."""

    def __init__(self) -> None:
        self._flights: dict[bytes, _Flight[T]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

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
        patience: float | None = None,
        context: Context | None = None,
    ) -> T:
        """The result of a flight that started after `newer_than`: one in the air, or else a new one started at `now`.

        Raises:
            NotInTimeError: when it does not come within `patience` seconds, if given. The flight goes on.
        """
        flight = self._flights.get(key)
        if flight is None or flight.started <= newer_than:
            flight = self._start(key, work, now, context)
        waiter = flight.board()
        if patience is None:
            return await waiter
        timer = asyncio.get_running_loop().call_later(patience, _give_up, waiter)
        try:
            return await waiter
        finally:
            timer.cancel()

    def _start(
        self, key: bytes, work: Callable[[], Coroutine[Any, Any, T]], now: float, context: Context | None
    ) -> _Flight[T]:
        flight: _Flight[T] = _Flight(now)

        def end(task: "asyncio.Task[None]") -> None:
            self._tasks.discard(task)
            self._land(key, flight, lambda waiter: waiter.cancel())  # if it has not landed, it was cancelled

        task = asyncio.create_task(self._fly(key, flight, work), context=context)
        self._flights[key] = flight
        self._tasks.add(task)
        task.add_done_callback(end)
        return flight

    async def _fly(self, key: bytes, flight: _Flight[T], work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        try:
            result = await work()
        except Exception as error:
            told = error
            if not self._land(key, flight, lambda waiter: waiter.set_exception(told)):
                raise  # for the loop to report
        else:
            self._land(key, flight, lambda waiter: waiter.set_result(result))

    def _land(self, key: bytes, flight: _Flight[T], say: "Callable[[asyncio.Future[T]], object]") -> int:
        """Nobody boards it any more, and all who wait are told; how many these are."""
        if self._flights.get(key) is flight:
            del self._flights[key]
        return flight.tell(say)

    async def close(self) -> None:
        """Cancel what is still in the air and wait until it is gone."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __len__(self) -> int:
        return len(self._flights)


def _give_up(waiter: "asyncio.Future[T]") -> None:
    if not waiter.done():
        waiter.set_exception(NotInTimeError())
