"""Notices of revocation arrive, however long the one who wants them is away, and whichever process is there to send them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from extauthz.authserver import outbox
from extauthz.authserver.outbox import Outbox, Receiver, notifying
from extauthz.authserver.store.base import ClientRecord, Notice, StoreError, TokenRecord, token_digest
from extauthz.authserver.store.sqlite import MemoryStore
from extauthz.cli.processes import free_ports

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

URL = "http://127.0.0.1:9192/revoke"
SECRET = "a-secret-of-the-operator"


class Service:
    """Takes notices as told, by default well; a status of 0 is no answer."""

    def __init__(self, *statuses: int) -> None:
        self.taken: list[dict[str, Any]] = []
        self.requests: list[httpx.Request] = []
        self.statuses = list(statuses)
        self.open = asyncio.Event()
        self.open.set()

    def receiver(self) -> Receiver:
        """The same service, as another process knows it."""
        return Receiver(URL, SECRET, httpx.MockTransport(self._take))

    async def _take(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        await self.open.wait()
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 0:
            raise httpx.ConnectError("refused")
        if status == 200:
            self.taken.append(json.loads(request.content))
        return httpx.Response(status)


class Pauses:
    """Pauses after trouble are over at once; the long one between two looks at the store when it is said so."""

    def __init__(self) -> None:
        self.after_trouble: list[float] = []
        self._next_look = asyncio.Event()

    def look(self) -> None:
        """A second has passed."""
        self._next_look.set()

    async def sleep(self, seconds: float) -> None:
        """Take this for `asyncio.sleep`."""
        if seconds == outbox.POLL_SECONDS:
            await self._next_look.wait()
            self._next_look.clear()
        else:
            self.after_trouble.append(seconds)
            await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def sending(store: MemoryStore, *services: Service, pauses: Pauses | None = None) -> AsyncIterator[Outbox]:
    """A process that sends; it ends as `kill -9` would end it."""
    pauses = Pauses() if pauses is None else pauses
    box = Outbox(store, [service.receiver() for service in services], sleep=pauses.sleep)
    running = asyncio.create_task(box.run())
    await settle()
    yield box
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        yield store


async def revoke(store: MemoryStore, *names: str) -> None:
    await store.add_tokens(
        *(
            TokenRecord(digest=token_digest(name), jti=name, client_id="app", issued_at=1, expires_at=2000)
            for name in names
        )
    )
    for name in names:
        await store.revoke_tokens(jti=name, revoked_at=1000)


async def settle() -> None:
    """Let every task run as far as it can without the thread of the store, which does one thing after the other."""
    for _ in range(50):
        await asyncio.sleep(0.001)


async def until(holds: Callable[[], object]) -> None:
    """Return once it holds, however slow the thread of the store is."""
    async with asyncio.timeout(40):
        while not holds():  # noqa: ASYNC110 - what has been sent has no event
            await asyncio.sleep(0.001)


async def told_to_all(store: MemoryStore) -> None:
    """Return once everybody has taken everything: then nothing is left."""
    async with asyncio.timeout(40):
        while await store.list_notices(limit=1):  # noqa: ASYNC110 - nor has this
            await asyncio.sleep(0.001)


async def test_a_notice_names_what_was_revoked_and_shows_the_secret(store: MemoryStore) -> None:
    """Nothing else; when it was taken it is forgotten."""
    service = Service()
    async with sending(store, service) as box:
        await store.add_client(ClientRecord(client_id="app"))
        await store.replace_client(ClientRecord(client_id="app", disabled_at=1000))
        await revoke(store, "j1")
        box.wake()
        await told_to_all(store)
    assert service.taken == [{"client_id": ["app"], "jti": ["j1"]}]
    assert service.requests[0].headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("status", [0, 401, 403, 404, 500, 503])
async def test_it_is_sent_until_it_is_taken(store: MemoryStore, status: int, caplog: pytest.LogCaptureFixture) -> None:
    """With longer and longer pauses; the operator is told when it begins and when it ends."""
    service, pauses = Service(*[status] * 8), Pauses()
    await revoke(store, "j1")
    async with sending(store, service, pauses=pauses) as box:
        await told_to_all(store)
        assert service.taken == [{"jti": ["j1"]}]
        assert pauses.after_trouble == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
        assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.WARNING]
        assert SECRET not in caplog.text
        service.statuses = [status]
        await revoke(store, "j2")
        box.wake()
        await told_to_all(store)
    assert pauses.after_trouble[-1] == 0.1


async def test_what_a_killed_process_did_not_send_the_next_one_does(store: MemoryStore) -> None:
    """Also what was under way when it died: it may come twice."""
    service = Service()
    service.open.clear()
    await revoke(store, "j1")
    async with sending(store, service):
        await until(lambda: len(service.requests) == 1)
    service.open.set()
    async with sending(store, service):
        await told_to_all(store)
    assert service.taken == [{"jti": ["j1"]}]


async def test_what_another_process_wrote_is_found_within_a_second(store: MemoryStore) -> None:
    """A command, or a server that died: nobody says that there is news."""
    service, pauses = Service(), Pauses()
    async with sending(store, service, pauses=pauses):
        await revoke(store, "j1")
        await settle()
        assert service.taken == []
        pauses.look()
        await told_to_all(store)
    assert service.taken == [{"jti": ["j1"]}]


async def test_who_is_away_holds_nobody_up_and_nobody_is_told_twice(store: MemoryStore) -> None:
    """The notice stays until the last one has it."""
    here, away = Service(), Service()
    away.open.clear()
    async with sending(store, here, away) as box:
        await revoke(store, "j1")
        box.wake()
        await until(lambda: len(here.taken) == 1)
        await revoke(store, "j2")
        box.wake()
        await until(lambda: len(here.taken) == 2)
        assert here.taken == [{"jti": ["j1"]}, {"jti": ["j2"]}]
        assert len(await store.list_notices(limit=9)) == 2
        away.open.set()
        await told_to_all(store)
    assert [name for notice in away.taken for name in notice["jti"]] == ["j1", "j2"]
    assert len(here.taken) == 2


async def test_too_many_become_one_about_everything(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it is sent; what is left, and what comes later, is named again."""
    monkeypatch.setattr(outbox, "MAX_WAITING", 3)
    service = Service(503, 0)
    await revoke(store, *(f"j{number}" for number in range(9)))
    async with sending(store, service) as box:
        await told_to_all(store)
        await revoke(store, "later")
        box.wake()
        await told_to_all(store)
    assert service.taken == [{"all": True}, {"all": True}, {"jti": ["j0"]}, {"jti": ["later"]}]


async def test_very_many_are_sent_in_pieces(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each small enough for the one who takes it; after trouble it goes on where it was."""
    monkeypatch.setattr(outbox, "MAX_TOGETHER", 2)
    service = Service(200, 503)
    await revoke(store, "j1", "j2", "j3", "j4", "j5")
    async with sending(store, service):
        await told_to_all(store)
    assert [notice["jti"] for notice in service.taken] == [["j1", "j2"], ["j3", "j4"], ["j5"]]


@pytest.mark.parametrize("status", [400, 413])
async def test_a_name_that_is_not_understood_holds_up_no_other(store: MemoryStore, status: int) -> None:
    """Instead of it everything is forgotten."""
    service = Service(status)
    await revoke(store, "\n")
    async with sending(store, service) as box:
        await told_to_all(store)
        await revoke(store, "j1")
        box.wake()
        await told_to_all(store)
    assert service.taken == [{"all": True}, {"jti": ["j1"]}]


async def test_a_store_that_cannot_be_read_is_told_once_and_asked_again(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When it can be read again, what waits is sent."""
    service, looks = Service(), iter([True, True, True])
    read = store.list_notices

    async def listed(*, limit: int) -> list[Notice]:
        if next(looks, False):
            raise StoreError("away")
        return await read(limit=limit)

    monkeypatch.setattr(store, "list_notices", listed)
    await revoke(store, "j1")
    async with sending(store, service):
        await until(lambda: service.taken)
    assert service.taken == [{"jti": ["j1"]}]
    assert caplog.text.count("cannot be read") == 1


async def test_at_the_end_what_waits_is_sent(store: MemoryStore) -> None:
    """Who stops a server need not wait for the next one."""
    service = Service()
    box = Outbox(store, [service.receiver()])
    await revoke(store, "j1")
    await box.finish()
    assert service.taken == [{"jti": ["j1"]}]


async def test_who_cannot_be_told_at_the_end_is_told_by_the_next_server(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The end is not held up for long, and the log says that notices wait."""
    monkeypatch.setattr(outbox, "STOP_SECONDS", 0.05)
    async with notifying(store, [(f"http://127.0.0.1:{port}/revoke", SECRET) for port in free_ports(2)]) as wake:
        await revoke(store, "j1")
        wake()
    assert caplog.text.count("wait in the store") == 1
    assert len(await store.list_notices(limit=9)) == 1


async def test_where_nobody_is_to_be_told_nothing_is_looked_for(store: MemoryStore) -> None:
    """Notices that nobody wants end by themselves."""
    async with notifying(store, []) as wake:
        await revoke(store, "j1")
        wake()
        await settle()
    assert len(await store.list_notices(limit=9)) == 1


async def test_a_defect_that_ends_it_is_told(
    store: MemoryStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Else nobody would know that no notice is sent any more."""
    fails = iter([True])

    async def listed(*, limit: int) -> list[Notice]:
        if next(fails, False):
            raise RuntimeError("canary")
        return []

    monkeypatch.setattr(store, "list_notices", listed)
    async with notifying(store, [(URL, SECRET)]) as wake:
        wake()
        await until(lambda: caplog.messages)
    (line,) = caplog.messages
    assert "Outbox.run, has ended by RuntimeError" in line
    assert "canary" not in line
