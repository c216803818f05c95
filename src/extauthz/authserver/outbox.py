"""Tells the services that cache our answers what was revoked, until each of them has taken it.

A notice is written by the store, together with the revocation that it tells of, and stays there until everybody has it.
So none is lost with a process: another server of the same store, or the next one, sends it. The same way a server tells
what a command has revoked. A notice may be sent twice, which does no harm.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from extauthz.authserver.beside import run_beside
from extauthz.authserver.notify import MAX_TOGETHER, client, post
from extauthz.authserver.store.base import StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

    import httpx

    from extauthz.authserver.store.base import Notice, Store

MAX_WAITING: Final = 2_000
"""Notices for one receiver; more become one about everything."""

POLL_SECONDS: Final = 1.0
"""How long a notice may lie in the store that another process wrote and did not send."""

STOP_SECONDS: Final = 5.0
"""For what waits at the end; what is not taken by then stays in the store."""

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0
_NOT_UNDERSTOOD: Final = ("status 400", "status 413")

_log = logging.getLogger(__name__)


class Receiver:
    """One who is told, and what it has taken of the notices that are in the store.

    The address is that of ``POST /revoke`` at the ops listener of extauthz; a notice names the ``jti`` of a token, never
    the token.
    """

    def __init__(self, url: str, secret: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url = url
        self.taken: set[int] = set()
        self.news = asyncio.Event()
        self._http = client(secret, transport)
        self._in_trouble = False

    async def take(self, notices: Sequence[Notice]) -> bool:
        """Send what it has not taken of all notices that there are; false if some are to be sent again."""
        self.taken.intersection_update(notice.number for notice in notices)
        news = [notice for notice in notices if notice.number not in self.taken]
        if len(news) > MAX_WAITING:
            return await self._send(news, {"all": True})
        for start in range(0, len(news), MAX_TOGETHER):
            together = news[start : start + MAX_TOGETHER]
            if not await self._send(together, _by_kind(together)):
                return False
        return True

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def _send(self, notices: Sequence[Notice], body: Mapping[str, object]) -> bool:
        trouble = await post(self._http, self.url, body)
        if trouble in _NOT_UNDERSTOOD:  # a name that it takes for none would otherwise hold up all others for ever
            trouble = await post(self._http, self.url, {"all": True})
        if trouble and not self._in_trouble:
            _log.error("%s does not take notices of revocation: %s; they are sent again", self.url, trouble)
        if self._in_trouble and not trouble:
            _log.warning("%s takes notices of revocation again", self.url)
        self._in_trouble = bool(trouble)
        if not trouble:
            self.taken.update(notice.number for notice in notices)
        return not trouble


class Outbox:
    """Brings the notices from the store to the receivers, in their order. ``run`` must be running."""

    def __init__(
        self,
        store: Store,
        receivers: Sequence[Receiver],
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._receivers = receivers
        self._sleep = sleep
        self._in_trouble = False

    def wake(self) -> None:
        """There is a new notice in the store."""
        for receiver in self._receivers:
            receiver.news.set()

    async def run(self) -> None:
        """Send what waits, and what comes, until cancelled."""
        await asyncio.gather(self._look_now_and_then(), *map(self._keep_telling, self._receivers))

    async def finish(self) -> None:
        """Send what is left, for ``STOP_SECONDS`` at most, and close the connections. ``run`` must have ended."""
        told = [False]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                told = await asyncio.gather(*map(self._tell, self._receivers))
        if not all(told):
            _log.error("notices of revocation wait in the store until a server with `notify` runs again")
        await asyncio.gather(*(receiver.close() for receiver in self._receivers))

    async def _look_now_and_then(self) -> None:
        while self._receivers:
            self.wake()
            await self._sleep(POLL_SECONDS)

    async def _keep_telling(self, receiver: Receiver) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while True:
            await receiver.news.wait()
            receiver.news.clear()
            if await self._tell(receiver):
                pause = _FIRST_PAUSE_SECONDS
            else:
                await self._sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
                receiver.news.set()

    async def _tell(self, receiver: Receiver) -> bool:
        """Send what waits for this receiver, and forget what all have taken."""
        try:
            notices = await self._store.list_notices(limit=MAX_WAITING + 1)
            some_new = any(notice.number not in receiver.taken for notice in notices)
            told = await receiver.take(notices)
            if some_new and len(notices) > MAX_WAITING:
                receiver.news.set()  # older ones are not listed until these are deleted
            by_all = set[int].intersection(*(each.taken for each in self._receivers))
            if done := [notice.number for notice in notices if notice.number in by_all]:
                await self._store.delete_notices(done)
        except StoreError as error:
            if not self._in_trouble:
                _log.warning("notices of revocation cannot be read now: %s", error)
            self._in_trouble = True
            return False
        self._in_trouble = False
        return told


def _by_kind(notices: Sequence[Notice]) -> Mapping[str, list[str]]:
    names: dict[str, list[str]] = defaultdict(list)
    for notice in notices:
        names[notice.kind].append(notice.name)
    return names


@contextlib.asynccontextmanager
async def notifying(store: Store, addresses: Sequence[tuple[str, str]]) -> AsyncIterator[Callable[[], None]]:
    """Tell these addresses, each with its secret, what was and is revoked; what is given says that there is news."""
    outbox = Outbox(store, [Receiver(url, secret) for url, secret in addresses])
    running = run_beside(outbox.run())
    try:
        yield outbox.wake
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await outbox.finish()
