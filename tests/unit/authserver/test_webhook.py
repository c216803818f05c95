"""Alerts for another service."""

from __future__ import annotations

import asyncio
import json

import httpx

from extauthz.authserver.events import Alert
from extauthz.authserver.webhook import MAX_WAITING, PAUSES_SECONDS, Webhook

ALERT = Alert(rule="new_address", at=0.0, subject="app", client_id="app", address="192.0.2.1")


class Service:
    """Answers with these statuses in turn, the last one again and again; notes what it was asked."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.requests: list[httpx.Request] = []
        self.pauses: list[float] = []
        self.lost: list[int] = []
        self.webhook = Webhook(
            "https://alerts.example.com/",
            "t0ken",
            on_loss=self.lost.append,
            transport=httpx.MockTransport(self._answer),
            sleep=self._sleep,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        status = self._statuses[0] if len(self._statuses) == 1 else self._statuses.pop(0)
        return httpx.Response(status)

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def run(self, rounds: int = 200) -> None:
        task = asyncio.create_task(self.webhook.run())
        for _ in range(rounds):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_alert_is_posted_as_json_with_the_token() -> None:
    """The service gets rule, subject and address, with its bearer token."""
    service = Service(204)
    service.webhook.send(ALERT)
    await service.run()
    (request,) = service.requests
    assert request.headers["authorization"] == "Bearer t0ken"
    sent = json.loads(request.content)
    assert (sent["kind"], sent["result"], sent["subject"], sent["address"]) == (
        "alert",
        "new_address",
        "app",
        "192.0.2.1",
    )
    assert (service.lost, service.pauses) == ([], [])


async def test_a_failing_service_is_tried_a_few_times() -> None:
    """After two failures the third attempt counts; after three the alert is lost and counted."""
    good = Service(500, 503, 200)
    good.webhook.send(ALERT)
    await good.run()
    assert (len(good.requests), good.lost, good.pauses) == (3, [], list(PAUSES_SECONDS))
    bad = Service(500)
    bad.webhook.send(ALERT)
    await bad.run()
    assert (len(bad.requests), bad.lost) == (3, [1])


async def test_alerts_that_find_no_room_are_dropped_and_counted() -> None:
    """Sending never waits."""
    service = Service(200)
    for _ in range(MAX_WAITING + 2):
        service.webhook.send(ALERT)
    assert service.lost == [1, 1]
