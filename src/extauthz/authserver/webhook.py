"""Tells another service of alerts: a POST of JSON each, behind the requests, a few times if it must be."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import httpx

from extauthz.authserver.events import alerted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from extauthz.authserver.events import Alert

MAX_WAITING: Final = 100
"""Alerts that wait for a slow service; later ones are dropped and counted."""

PAUSES_SECONDS: Final = (1.0, 5.0)
"""Before the second and the third attempt; after that an alert is dropped."""

TIMEOUT_SECONDS: Final = 5.0

_log = logging.getLogger(__name__)


class Webhook:
    """Sends alerts in their order. ``run`` must be running."""

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        on_loss: Callable[[int], None],
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """``token`` goes along as a bearer token."""
        self._url = url
        self._headers = {} if token is None else {"authorization": f"Bearer {token}"}
        self._on_loss = on_loss
        self._transport = transport
        self._sleep = sleep
        self._waiting: asyncio.Queue[Alert] = asyncio.Queue(MAX_WAITING)

    def send(self, alert: Alert) -> None:
        """Queue the alert; never waits."""
        try:
            self._waiting.put_nowait(alert)
        except asyncio.QueueFull:
            self._on_loss(1)

    async def run(self) -> None:
        """Send what is queued until cancelled."""
        async with httpx.AsyncClient(
            transport=self._transport, headers=self._headers, timeout=TIMEOUT_SECONDS, trust_env=False
        ) as http:
            while True:
                alert = await self._waiting.get()
                if not await self._delivered(http, alert):
                    self._on_loss(1)

    async def _delivered(self, http: httpx.AsyncClient, alert: Alert) -> bool:
        trouble = await self._post(http, alert)
        for pause in PAUSES_SECONDS:
            if not trouble:
                break
            await self._sleep(pause)
            trouble = await self._post(http, alert)
        if trouble:
            _log.error("the webhook for alerts does not take them: %s", trouble)
        return not trouble

    async def _post(self, http: httpx.AsyncClient, alert: Alert) -> str:
        """What went wrong; empty when nothing did."""
        try:
            answer = await http.post(self._url, json=alerted(alert))
        except httpx.HTTPError as error:
            return type(error).__name__
        return "" if answer.is_success else f"status {answer.status_code}"
