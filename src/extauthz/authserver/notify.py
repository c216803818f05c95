"""Tells a service that caches our answers which tokens were revoked, so that it need not wait until it asks again.

A server sends a notice until it was taken; what waits is bounded, and beyond that becomes one notice about everything.
A command sends it once and says what came of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

MAX_WAITING: Final = 10_000
MAX_TOGETHER: Final = 500
TIMEOUT_SECONDS: Final = 5.0

STOP_SECONDS: Final = 5.0
"""At the end, for what waits; who does not take it by then is not told."""

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0
_OK: Final = 200

Notice = Mapping[str, Sequence[str]]
"""Names of what was revoked by their kinds: ``jti``, ``sub`` or ``client_id``."""

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
        self._http = _client(secret, transport)
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

    async def finish(self) -> None:
        """Send what is left, for ``STOP_SECONDS`` at most, and close the connection. ``run`` must have ended."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                while self._news.is_set():
                    if not await self._send():
                        await self._sleep(_FIRST_PAUSE_SECONDS)
        except TimeoutError:
            count = "very many" if self._everything else len(self._waiting)
            _log.error("%s was not told of %s revoked tokens: tell it by extauthz revoke --all", self._url, count)
        finally:
            await self._http.aclose()

    async def _send(self) -> bool:
        """Send the next notices; False when they were not taken and are to be sent again."""
        everything, self._everything = self._everything, False
        count = len(self._waiting) if everything else min(len(self._waiting), MAX_TOGETHER)
        trouble = "cancelled"
        try:
            trouble = await _post(
                self._http, self._url, {"all": True} if everything else {"jti": self._waiting[:count]}
            )
        finally:
            self._everything = self._everything or (everything and bool(trouble))
        self._tell(trouble)
        if trouble:
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


async def deliver(
    addresses: Sequence[tuple[str, str]],
    notice: Notice,
    *,
    transport: httpx.AsyncBaseTransport | None = None,
) -> dict[str, str]:
    """Send the notice to each address with its secret, once; what went wrong, by address, empty where nothing did.

    A kind with very many names is sent in pieces.
    """

    async def told(url: str, secret: str) -> str:
        async with _client(secret, transport) as http:
            for kind, names in notice.items():
                for start in range(0, len(names), MAX_TOGETHER):
                    if trouble := await _post(http, url, {kind: names[start : start + MAX_TOGETHER]}):
                        return trouble
        return ""

    troubles = await asyncio.gather(*(told(url, secret) for url, secret in addresses))
    return {url: trouble for (url, _), trouble in zip(addresses, troubles, strict=True)}


def _client(secret: str, transport: httpx.AsyncBaseTransport | None) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {secret}"}
    return httpx.AsyncClient(transport=transport, headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False)


async def _post(http: httpx.AsyncClient, url: str, notice: Mapping[str, object]) -> str:
    """What went wrong; empty when nothing did."""
    try:
        answer = await http.post(url, json=notice)
    except httpx.HTTPError as error:
        return type(error).__name__
    return "" if answer.status_code == _OK else f"status {answer.status_code}"


@contextlib.asynccontextmanager
async def notifying(addresses: Sequence[tuple[str, str]]) -> AsyncIterator[Callable[[str], None]]:
    """Notify these addresses, each with its secret; what is given is told the ``jti``.

    At the end of the context what still waits is sent, for a bounded time.
    """
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
        await asyncio.gather(*(notifier.finish() for notifier in notifiers))
