"""Forgetting what has expired."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from extauthz.authserver.admin import issue_token
from extauthz.authserver.cleanup import EVERY_SECONDS, PAUSE_SECONDS, STEP, clean_up
from extauthz.authserver.store.base import StoreError
from extauthz.authserver.store.sqlite import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

NOW = 1000.0


class Sleeper:
    """Notes each sleep, and ends the work at the given one."""

    def __init__(self, last: int) -> None:
        self.slept: list[float] = []
        self._last = last

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        if len(self.slept) == self._last:
            raise asyncio.CancelledError


class Failing(MemoryStore):
    async def delete_expired(self, *, before: int, limit: int) -> int:
        raise StoreError("gone")


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    store = MemoryStore()
    yield store
    await store.close()


async def run(store: MemoryStore, sleeper: Sleeper) -> None:
    with pytest.raises(asyncio.CancelledError):
        await clean_up(store, lambda: NOW, sleep=sleeper)


async def test_a_round_goes_in_steps_until_nothing_is_left(store: MemoryStore) -> None:
    """Full steps have a short pause after them, and the round ends with one that was not full."""
    for _ in range(STEP * 2 + 1):
        await issue_token(store, client_id="app", ttl_seconds=10, now=NOW - 11)
    alive, _ = await issue_token(store, client_id="app", ttl_seconds=10, now=NOW)
    sleeper = Sleeper(3)
    await run(store, sleeper)
    assert sleeper.slept == [PAUSE_SECONDS, PAUSE_SECONDS, EVERY_SECONDS]
    assert len(await store.list_tokens()) == 1
    assert alive


async def test_trouble_is_told_once_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """A storage that is away for an hour is one line, and the clean-up goes on by itself."""
    store = Failing()
    await run(store, Sleeper(3))
    await store.close()
    assert caplog.text.count("what has expired is not deleted") == 1


@pytest.mark.parametrize(("keep", "left"), [(100.0, 2), (0.0, STEP + 3)])
async def test_old_events_go_in_steps_too(store: MemoryStore, keep: float, left: int) -> None:
    """Those that are older than is asked for; 0 keeps all."""
    await store.add_events([{"at": NOW - 101, "kind": "k"} for _ in range(STEP + 1)])
    await store.add_events([{"at": NOW - 100, "kind": "k"}, {"at": NOW, "kind": "k"}])
    sleeper = Sleeper(2 if keep else 1)
    with pytest.raises(asyncio.CancelledError):
        await clean_up(store, lambda: NOW, keep_events_seconds=keep, sleep=sleeper)
    assert sleeper.slept == ([PAUSE_SECONDS] if keep else []) + [EVERY_SECONDS]
    assert await store.delete_events(before=NOW + 1, limit=STEP * 2) == left
