"""Bursts that no process sees by itself: what each of them has counted is put together, about once a second.

Whoever finds the sum too high raises the alert, and one process does. While the sums cannot be had, each raises the alerts
of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from extauthz.authserver.events import Alert

FLUSH_SECONDS: Final = 1.0

MAX_SUBJECTS: Final = 500
"""Put together at once; of more, those that were seen most."""


class Tallies(Protocol):
    """Counts for all processes. Neither method raises; both return ``None`` while that fails."""

    async def tally(self, kind: str, key: str, amount: int) -> float | None:
        """Count so many more; how many it were within the last minute, in all processes."""

    async def claim(self, kind: str, key: str) -> bool | None:
        """Tell whether this is the first call for the key within a minute, of all processes."""


class Bursts:
    """Takes what one process has seen, and tells alerts."""

    def __init__(
        self,
        tallies: Tallies,
        tell: Callable[[Alert], None],
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._tallies = tallies
        self._tell = tell
        self._sleep = sleep
        self._own: list[Alert] = []
        self._seen: dict[tuple[str, str], Alert] = {}
        self._limits: dict[str, int] = {}

    def saw(self, one: Alert, limit: int) -> None:
        """One more for the rule and the subject of the alert that it may become."""
        name = (one.rule, one.subject)
        before = self._seen.get(name)
        self._seen[name] = one if before is None else replace(one, count=before.count + 1)
        self._limits[one.rule] = limit

    def raised(self, alert: Alert) -> None:
        """What this process has seen is a burst by itself."""
        self._own.append(alert)

    async def run(self) -> None:
        """Put together until cancelled."""
        while True:
            await self._sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Put together what was seen since the last time."""
        own, self._own = self._own, []
        seen, self._seen = self._seen, {}
        for alert in own:
            if await self._tallies.claim(alert.rule, _key(alert)) is not False:
                self._tell(alert)
        for one in _most(list(seen.values())):
            total = await self._tallies.tally(one.rule, _key(one), one.count)
            if total is None:
                return
            if total >= self._limits[one.rule] and await self._tallies.claim(one.rule, _key(one)):
                self._tell(replace(one, count=int(total)))


def _most(seen: Sequence[Alert]) -> Sequence[Alert]:
    return sorted(seen, key=lambda one: one.count, reverse=True)[:MAX_SUBJECTS]


def _key(one: Alert) -> str:
    """Of bounded length: strangers choose the names of clients."""
    return hashlib.blake2b(one.subject.encode(errors="surrogateescape"), digest_size=16).hexdigest()
