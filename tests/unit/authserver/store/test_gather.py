"""Look-ups that wait together go together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from extauthz.authserver.store.gather import MAX_TOGETHER, Gatherer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Trips:
    """Counts trips; each waits for its gate."""

    def __init__(self) -> None:
        self.keys: list[list[int]] = []
        self.gate = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, keys: Sequence[int]) -> Mapping[int, str]:
        self.keys.append(list(keys))
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return {key: str(key) for key in keys if key >= 0}


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_asked_during_a_trip_goes_on_the_next_one() -> None:
    """One trip for many keys, and none that began before the question."""
    trips = Trips()
    gatherer = Gatherer(trips)
    first = asyncio.create_task(gatherer.get(1))
    await settle()
    later = [asyncio.create_task(gatherer.get(key)) for key in (1, 2, 2, -3)]
    await settle()
    trips.gate.set()
    assert await first == "1"
    assert await asyncio.gather(*later) == ["1", "2", "2", None]
    assert trips.keys == [[1], [1, 2, -3]]


async def test_a_trip_has_a_limit() -> None:
    """What is more goes on the trip after."""
    trips = Trips()
    trips.gate.set()
    gatherer = Gatherer(trips)
    await asyncio.gather(*(gatherer.get(key) for key in range(MAX_TOGETHER + 1)))
    assert [len(keys) for keys in trips.keys] == [MAX_TOGETHER, 1]


async def test_trouble_reaches_everyone_on_the_trip_and_nobody_after() -> None:
    """Each caller gets the error; the next trip is a new try."""
    trips = Trips()
    gatherer = Gatherer(trips)
    trips.error = OSError("down")
    callers = [asyncio.create_task(gatherer.get(key)) for key in (1, 2)]
    await settle()
    trips.gate.set()
    assert [type(error) for error in await asyncio.gather(*callers, return_exceptions=True)] == [OSError, OSError]
    trips.error = None
    assert await gatherer.get(1) == "1"


async def test_a_caller_that_goes_away_takes_nobody_with_it() -> None:
    """The one who asked first leaves; the other one gets the answer."""
    trips = Trips()
    gatherer = Gatherer(trips)
    leaving, staying = (asyncio.create_task(gatherer.get(1)) for _ in range(2))
    await settle()
    leaving.cancel()
    trips.gate.set()
    assert await staying == "1"
    with pytest.raises(asyncio.CancelledError):
        await leaving
