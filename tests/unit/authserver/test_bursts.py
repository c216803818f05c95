"""What several processes see together raises one alert; what one of them sees alone does too, whatever holds."""

from __future__ import annotations

import asyncio
from collections import Counter

from extauthz.authserver import bursts
from extauthz.authserver.anomaly import AnomalyRules
from extauthz.authserver.events import Event, Kind
from extauthz.authserver.metrics import Metrics
from extauthz.authserver.watch import Watch


class Together:
    """Counts for all, in memory, as long as it is not away."""

    def __init__(self) -> None:
        self.away = False
        self.counts: Counter[tuple[str, str]] = Counter()
        self.claimed: set[tuple[str, str]] = set()

    async def tally(self, kind: str, key: str, amount: int) -> float | None:
        if self.away:
            return None
        self.counts[kind, key] += amount
        return self.counts[kind, key]

    async def claim(self, kind: str, key: str) -> bool | None:
        if self.away:
            return None
        first = (kind, key) not in self.claimed
        self.claimed.add((kind, key))
        return first


class Record:
    """Keeps the alerts."""

    def __init__(self) -> None:
        self.alerts: list[tuple[str, str, int]] = []

    def write(self, line: dict[str, object]) -> None:
        if line["kind"] == Kind.ALERT.value:
            self.alerts.append((str(line["result"]), str(line["subject"]), int(str(line["count"]))))

    async def run(self) -> None:
        """Nothing waits."""


class Worker:
    """One process that looks for anomalies."""

    def __init__(self, together: Together | None, record: Record, **rules: int) -> None:
        self.watch = Watch(record=record, metrics=Metrics(), rules=AnomalyRules(**rules), tallies=together)  # type: ignore[arg-type] # numbers by name

    def sees(self, count: int, result: str = "expired", **more: str) -> None:
        """So many introspections."""
        for _ in range(count):
            values = {"client_id": "gw", "address": "192.0.2.1", **more}
            self.watch.saw(Event(kind=Kind.INTROSPECTION, at=60.0, result=result, token_mark=b"x", **values))  # type: ignore[arg-type] # texts by name

    async def second(self) -> None:
        """A second passes."""
        assert self.watch.bursts is not None
        await self.watch.bursts.flush()


async def test_what_all_see_together_is_told_once() -> None:
    """By whoever finds the sum too high, with the sum; nobody sees it by himself."""
    together, record = Together(), Record()
    workers = [Worker(together, record, inactive_per_client=10) for _ in range(4)]
    for _ in range(2):
        for worker in workers:
            worker.sees(2)
            await worker.second()
    assert record.alerts == [("inactive_per_client", "gw", 10)]


async def test_what_each_sees_by_himself_is_told_once_too() -> None:
    """The others find that it has been told."""
    together, record = Together(), Record()
    workers = [Worker(together, record, inactive_per_client=3) for _ in range(3)]
    for worker in workers:
        worker.sees(5)
        await worker.second()
    assert record.alerts == [("inactive_per_client", "gw", 3)]


async def test_clients_are_counted_apart() -> None:
    """As one process does."""
    together, record = Together(), Record()
    one, other = (Worker(together, record, inactive_per_client=4) for _ in range(2))
    one.sees(3)
    other.sees(3, client_id="another")
    for worker in (one, other):
        await worker.second()
    assert record.alerts == []


async def test_while_nobody_counts_together_each_raises_its_own() -> None:
    """And what it counted before that is not kept for later."""
    together, record = Together(), Record()
    together.away = True
    one, other = (Worker(together, record, inactive_per_client=3) for _ in range(2))
    one.sees(3)
    other.sees(2)
    for worker in (one, other):
        await worker.second()
    assert record.alerts == [("inactive_per_client", "gw", 3)]
    together.away = False
    other.sees(0)
    await other.second()
    assert len(record.alerts) == 1


async def test_what_is_an_alert_by_itself_waits_for_nobody() -> None:
    """A refresh token that came twice."""
    record = Record()
    Worker(Together(), record).sees(1, "refresh_token_reused")
    assert record.alerts == [("refresh_token_reused", "gw", 1)]


async def test_of_very_many_subjects_those_seen_most_are_put_together() -> None:
    """Whoever tries many names does not hide himself, nor does he cost more."""
    together, record = Together(), Record()
    worker = Worker(together, record, inactive_per_client=3)
    for number in range(bursts.MAX_SUBJECTS + 10):
        worker.sees(1, client_id=f"c{number}")
    worker.sees(2, client_id="often")
    await worker.second()
    assert len(together.counts) == bursts.MAX_SUBJECTS
    assert 2 in together.counts.values()


async def test_it_is_done_again_and_again() -> None:
    """Once a second, until it is stopped."""
    together, record, pauses = Together(), Record(), asyncio.Queue[float]()
    worker = Worker(together, record, inactive_per_client=2)
    assert worker.watch.bursts is not None

    async def sleep(seconds: float) -> None:
        pauses.put_nowait(seconds)
        worker.sees(1)
        await asyncio.sleep(0)

    worker.watch.bursts._sleep = sleep  # noqa: SLF001 - the clock
    running = asyncio.create_task(worker.watch.bursts.run())
    for _ in range(3):
        assert await pauses.get() == bursts.FLUSH_SECONDS
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [alert[:2] for alert in record.alerts] == [("inactive_per_client", "gw")]


async def test_alone_nothing_is_put_together() -> None:
    """An alert is told at once."""
    record = Record()
    worker = Worker(None, record, inactive_per_client=3)
    worker.sees(3)
    assert worker.watch.bursts is None
    assert record.alerts == [("inactive_per_client", "gw", 3)]
