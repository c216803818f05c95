"""Counting within a minute: in this process, or in Redis for all processes together."""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from limits import RateLimitItemPerMinute
from limits.aio.storage import RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError

from extauthz.authserver.sliding import WINDOW_SECONDS, SlidingCounts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

REDIS_SECONDS: Final = 0.25
"""How long Redis may take to connect or to answer."""

REDIS_PAUSE_SECONDS: Final = 5.0
"""After a failure Redis is left alone for so long, and this process counts alone."""

_TALLY_SECONDS: Final = 2 * int(WINDOW_SECONDS)
"""How long the count of a minute is kept: the next minute looks back at it."""

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class Counts(Protocol):
    """Counts things of a kind by key. No method raises."""

    async def hit(self, kind: str, key: str, limit: int) -> bool:
        """Count one more, unless the limit is reached; false if it is."""

    async def is_below(self, kind: str, key: str, limit: int) -> bool:
        """Tell whether the limit is not reached, and count nothing."""


class MemoryCounts:
    """Counts in this process."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._counts = SlidingCounts()

    async def hit(self, kind: str, key: str, limit: int) -> bool:
        """See ``Counts``."""
        now = self._monotonic()
        below = self._counts.seen((kind, key), now) < limit
        if below:
            self._counts.add((kind, key), now)
        return below

    async def is_below(self, kind: str, key: str, limit: int) -> bool:
        """See ``Counts``."""
        return self._counts.seen((kind, key), self._monotonic()) < limit


class RedisCounts:
    """Counts in Redis, by the ``limits`` library; in this process alone as long as Redis fails."""

    def __init__(
        self,
        url: str,
        monotonic: Callable[[], float],
        *,
        wall_clock: Callable[[], float] = time.time,
        password: str | None = None,
        ca: Path | None = None,
    ) -> None:
        """``url`` is ``redis://`` or ``rediss://``; ``ca`` is who signs its certificate, instead of the system's.

        The password is never told.
        """
        options: dict[str, Any] = {"socket_timeout": REDIS_SECONDS, "socket_connect_timeout": REDIS_SECONDS}
        if password is not None:
            options["password"] = password
        if ca is not None:
            options["ssl_ca_certs"] = str(ca)
        storage = RedisStorage(
            f"async+{url}", wrap_exceptions=True, implementation="redispy", key_prefix="extauthz-as", **options
        )
        self._storage = storage
        self._redis = SlidingWindowCounterRateLimiter(storage)
        self._alone = MemoryCounts(monotonic)
        self._monotonic = monotonic
        self._wall_clock = wall_clock
        self._again_at = -math.inf
        self._in_trouble = False

    async def hit(self, kind: str, key: str, limit: int) -> bool:
        """See ``Counts``."""
        shared = await self._ask(lambda: self._redis.hit(RateLimitItemPerMinute(limit), kind, key))
        return await self._alone.hit(kind, key, limit) if shared is None else shared

    async def is_below(self, kind: str, key: str, limit: int) -> bool:
        """See ``Counts``."""
        shared = await self._ask(lambda: self._redis.test(RateLimitItemPerMinute(limit), kind, key))
        return await self._alone.is_below(kind, key, limit) if shared is None else shared

    async def tally(self, kind: str, key: str, amount: int) -> float | None:
        """See ``bursts.Tallies``. Of the minute before counts what still lies within the last sixty seconds."""
        minute, passed = divmod(self._wall_clock(), WINDOW_SECONDS)
        name = f"tally/{kind}/{key}"

        async def counted() -> float:
            now = await self._storage.incr(f"{name}/{minute:.0f}", _TALLY_SECONDS, amount)
            before = await self._storage.get(f"{name}/{minute - 1:.0f}")
            return now + before * (1 - passed / WINDOW_SECONDS)

        return await self._ask(counted)

    async def claim(self, kind: str, key: str) -> bool | None:
        """See ``bursts.Tallies``."""
        count = await self._ask(lambda: self._storage.incr(f"claim/{kind}/{key}", int(WINDOW_SECONDS)))
        return None if count is None else count == 1

    async def _ask(self, question: Callable[[], Awaitable[_T]]) -> _T | None:
        """What Redis says; ``None`` while it fails."""
        if self._monotonic() < self._again_at:
            return None
        try:
            answer = await question()
        except (StorageError, OSError, ValueError) as error:
            self._again_at = self._monotonic() + REDIS_PAUSE_SECONDS
            self._tell(f"Redis does not count, so this process counts alone: {type(error).__name__}", trouble=True)
            return None
        self._tell("Redis counts again", trouble=False)
        return answer

    def _tell(self, what: str, *, trouble: bool) -> None:
        if trouble is not self._in_trouble:
            _log.warning("%s", what)
        self._in_trouble = trouble
