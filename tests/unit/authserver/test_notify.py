"""Notices of revocation arrive, however long the one who wants them is away."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from extauthz.authserver import notify
from extauthz.authserver.notify import Notifier, deliver, notifying
from extauthz.cli.processes import free_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

URL = "http://127.0.0.1:9192/revoke"
SECRET = "a-secret-of-the-operator"


class Bench:
    """A notifier whose pauses are over at once, and the service that it notifies."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.pauses: list[float] = []
        self.statuses: list[int] = []
        self.requests: list[httpx.Request] = []
        self.notifier = Notifier(URL, SECRET, transport=httpx.MockTransport(self.take), sleep=self.sleep)

    async def take(self, request: httpx.Request) -> httpx.Response:
        """Answer as told, by default well; 0 is no answer."""
        await asyncio.sleep(0)
        self.requests.append(request)
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 0:
            raise httpx.ConnectError("refused")
        if status == 200:
            self.taken.append(json.loads(request.content))
        return httpx.Response(status)

    async def sleep(self, seconds: float) -> None:
        """Remember it."""
        self.pauses.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    running = asyncio.create_task(bench.notifier.run())
    yield bench
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await bench.notifier.finish()


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_a_notice_names_the_jti_and_shows_the_secret(bench: Bench) -> None:
    """Nothing else of the token."""
    bench.notifier.revoked("j1")
    await settle()
    assert bench.taken == [{"jti": ["j1"]}]
    (request,) = bench.requests
    assert (request.method, str(request.url)) == ("POST", URL)
    assert request.headers["authorization"] == f"Bearer {SECRET}"


async def test_those_that_come_meanwhile_travel_together(bench: Bench) -> None:
    """In their order."""
    bench.notifier.revoked("j1")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for number in range(2, 5):
        bench.notifier.revoked(f"j{number}")
    await settle()
    assert [jti for notice in bench.taken for jti in notice["jti"]] == ["j1", "j2", "j3", "j4"]
    assert len(bench.taken) <= 2


@pytest.mark.parametrize("status", [0, 401, 403, 404, 500, 503])
async def test_it_is_sent_until_it_is_taken(bench: Bench, status: int, caplog: pytest.LogCaptureFixture) -> None:
    """With longer and longer pauses; the operator is told when it begins and when it ends."""
    bench.statuses = [status] * 8
    bench.notifier.revoked("j1")
    await settle()
    assert bench.taken == [{"jti": ["j1"]}]
    assert bench.pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]
    assert SECRET not in caplog.text
    bench.statuses = [status]
    bench.notifier.revoked("j2")
    await settle()
    assert bench.pauses[-1] == 0.1


@pytest.mark.parametrize("statuses", [[], [503, 0]])
async def test_too_many_become_one_about_everything(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, statuses: list[int]
) -> None:
    """However often it is sent; and those after it are named again."""
    monkeypatch.setattr(notify, "MAX_WAITING", 3)
    bench.statuses = statuses
    for number in range(5):
        bench.notifier.revoked(f"j{number}")
    await settle()
    bench.notifier.revoked("later")
    await settle()
    assert bench.taken == [{"all": True}, {"jti": ["later"]}]


async def test_an_overflow_while_a_notice_is_under_way_is_not_forgotten(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The notice about everything was made before it."""
    monkeypatch.setattr(notify, "MAX_WAITING", 1)
    for number in range(3):
        bench.notifier.revoked(f"j{number}")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for number in range(3):
        bench.notifier.revoked(f"k{number}")
    await settle()
    assert bench.taken[-1] == {"all": True}
    assert len(bench.requests) == 2


async def test_very_many_are_sent_in_pieces(bench: Bench) -> None:
    """Each small enough for the one who takes it."""
    for number in range(1200):
        bench.notifier.revoked(f"j{number}")
    await settle()
    assert [len(notice["jti"]) for notice in bench.taken] == [500, 500, 200]


async def test_all_addresses_are_told_of_everything() -> None:
    """Also when there is none."""
    async with notifying([]) as tell:
        tell("j1")


async def test_who_cannot_be_told_at_the_end_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With the number of tokens that it does not know of; the end is not held up for long."""
    monkeypatch.setattr(notify, "STOP_SECONDS", 0.05)
    async with notifying([(f"http://127.0.0.1:{port}/revoke", SECRET) for port in free_ports(2)]) as tell:
        tell("j1")
        tell("j2")
    assert caplog.text.count("was not told of 2 revoked tokens: tell it by extauthz revoke --all") == 2


async def test_at_the_end_what_waits_is_sent() -> None:
    """Also what was under way, and what was refused before."""
    bench = Bench()
    bench.statuses = [503]
    running = asyncio.create_task(bench.notifier.run())
    bench.notifier.revoked("j1")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    bench.notifier.revoked("j2")
    await bench.notifier.finish()
    assert bench.taken == [{"jti": ["j1", "j2"]}]


async def test_a_notice_about_everything_survives_an_end_that_comes_while_it_is_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It was taken from what waits when it was sent."""
    monkeypatch.setattr(notify, "MAX_WAITING", 1)
    bench = Bench()
    running = asyncio.create_task(bench.notifier.run())
    bench.notifier.revoked("j1")
    bench.notifier.revoked("j2")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await bench.notifier.finish()
    assert bench.taken == [{"all": True}]


async def test_a_command_tells_each_address_once_and_hears_what_came_of_it() -> None:
    """Very many names are sent in pieces."""
    bench = Bench()
    bench.statuses = [200, 200, 503]
    transport = httpx.MockTransport(bench.take)
    names = [f"j{number}" for number in range(501)]
    assert await deliver([(URL, SECRET)], {"jti": names}, transport=transport) == {URL: ""}
    assert [len(notice["jti"]) for notice in bench.taken] == [500, 1]
    assert await deliver([(URL, SECRET)], {"sub": ["alice"]}, transport=transport) == {URL: "status 503"}
    assert await deliver([(URL, SECRET)], {"jti": []}, transport=transport) == {URL: ""}
