"""Tells a service that caches our answers which tokens were revoked, so that it need not wait until it asks again.

A notice is sent until it was taken; what waits is bounded, and beyond that becomes one notice about everything.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

MAX_WAITING: Final = 10_000
MAX_TOGETHER: Final = 500
TIMEOUT_SECONDS: Final = 5.0

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0
_OK: Final = 200

_log = logging.getLogger(__name__)


class Notifier:
    """Sends notices to one address, in the order in which tokens were revoked. ``run`` must be running.

    The address is that of ``POST /revoke`` at the ops listener of extauthz; a notice names the ``jti`` of a token, never
    the token.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._url = url
        self._http = httpx.AsyncClient(
            transport=transport,
            headers={"authorization": f"Bearer {secret}"},
            timeout=TIMEOUT_SECONDS,
            trust_env=False,
        )
        self._sleep = sleep
        self._waiting: list[str] = []
        self._everything = False
        self._news = asyncio.Event()
        self._in_trouble = False

    def revoked(self, jti: str) -> None:
        """Send a notice about this token, later."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(jti)
        else:
            self._everything = True
        self._news.set()

    async def run(self) -> None:
        """Send what waits, and what comes, until cancelled."""
        pause = _FIRST_PAUSE_SECONDS
        while True:
            await self._news.wait()
            if await self._send():
                pause = _FIRST_PAUSE_SECONDS
            else:
                await self._sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def close(self) -> None:
        """Close the connection."""
        await self._http.aclose()

    async def _send(self) -> bool:
        """Send the next notices; False when they were not taken and are to be sent again."""
        everything, self._everything = self._everything, False
        count = len(self._waiting) if everything else min(len(self._waiting), MAX_TOGETHER)
        trouble = await self._post({"all": True} if everything else {"jti": self._waiting[:count]})
        self._tell(trouble)
        if trouble:
            self._everything = self._everything or everything
            return False
        del self._waiting[:count]
        if not (self._waiting or self._everything):
            self._news.clear()
        return True

    def _tell(self, trouble: str) -> None:
        if trouble and not self._in_trouble:
            _log.error("%s does not take notices of revocation: %s; they are sent again", self._url, trouble)
        if self._in_trouble and not trouble:
            _log.warning("%s takes notices of revocation again", self._url)
        self._in_trouble = bool(trouble)

    async def _post(self, notice: Mapping[str, object]) -> str:
        """What went wrong; empty when nothing did."""
        try:
            answer = await self._http.post(self._url, json=notice)
        except httpx.HTTPError as error:
            return type(error).__name__
        return "" if answer.status_code == _OK else f"status {answer.status_code}"


@contextlib.asynccontextmanager
async def notifying(addresses: Sequence[tuple[str, str]]) -> AsyncIterator[Callable[[str], None]]:
    """Notify these addresses, each with its secret, as long as the context lasts; what is given is told the ``jti``."""
    notifiers = [Notifier(url, secret) for url, secret in addresses]
    tasks = [asyncio.create_task(notifier.run()) for notifier in notifiers]

    def tell(jti: str) -> None:
        for notifier in notifiers:
            notifier.revoked(jti)

    try:
        yield tell
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for notifier in notifiers:
            await notifier.close()
