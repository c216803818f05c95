"""Forgetting what has expired: in small steps, behind the requests."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from extauthz.authserver.store.base import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from extauthz.authserver.store.base import Store

EVERY_SECONDS: Final = 60.0
"""From the end of one round to the next."""

STEP: Final = 200
"""Rows of one transaction: a write that comes meanwhile waits some milliseconds."""

PAUSE_SECONDS: Final = 0.02
"""Between the steps of a round, for the writes that wait."""

_log = logging.getLogger(__name__)


async def clean_up(
    store: Store,
    wall_clock: Callable[[], float],
    *,
    every_seconds: float = EVERY_SECONDS,
    keep_events_seconds: float = 0.0,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Delete expired tokens and assertions, and old events, round after round, until cancelled.

    Events are kept for ``keep_events_seconds``, for 0 all of them. A storage that fails ends the round, is told once, and is tried again in the next. Several servers may clean up the
    same storage.
    """
    troubled = False
    while True:
        try:
            await _round(store, wall_clock(), keep_events_seconds, sleep)
        except StoreError as error:
            if not troubled:
                _log.warning("what has expired is not deleted: %s", error)
            troubled = True
        else:
            troubled = False
        await sleep(every_seconds)


async def _round(
    store: Store, now: float, keep_events_seconds: float, sleep: Callable[[float], Awaitable[object]]
) -> None:
    while await store.delete_expired(before=int(now), limit=STEP) >= STEP:
        await sleep(PAUSE_SECONDS)
    while keep_events_seconds and await store.delete_events(before=now - keep_events_seconds, limit=STEP) >= STEP:
        await sleep(PAUSE_SECONDS)
