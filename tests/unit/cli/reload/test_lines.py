"""A supervisor and its workers understand each other, whoever ends when."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from extauthz.cli.reload import reloads as module
from extauthz.cli.reload.lines import Hub, Line, Worker
from extauthz.cli.reload.live import Live, Report, Result
from extauthz.cli.reload.outcome import Outcome, write
from extauthz.cli.reload.reloads import Reloads


class FakeLive:
    """Takes everything over and remembers it."""

    def __init__(self, number: int, digest: str) -> None:
        self.number = number
        self.digest = digest
        self.taken: list[Path] = []
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def take(self, path: Path) -> Report:
        await self.go_on.wait()
        self.taken.append(path)
        return Report(worker=self.number, result=Result.RELOADED, generation=2, digest="new", routes=1)


class Bench:
    """A supervisor with a compiler that always succeeds."""

    def __init__(self, folder: Path) -> None:
        self.hub = Hub()
        self.reloads = Reloads(folder / "extauthz.yaml", {}, folder, self.deliver)
        self.orphaned = 0

    async def deliver(self, path: Path) -> Sequence[Report]:
        return await self.hub.deliver(path)

    def orphan(self) -> None:
        self.orphaned += 1

    @asynccontextmanager
    async def worker(self, number: int, digest: str = "old") -> AsyncIterator[tuple[Worker, FakeLive]]:
        """A worker that has said that it is ready."""
        ours, theirs = socket.socketpair()
        serving = asyncio.create_task(self.hub.serve(await Line.over(ours), self.reloads))
        live = FakeLive(number, digest)
        line = await Line.over(theirs)
        worker = Worker(line, cast("Live", live))
        running = asyncio.create_task(worker.run(self.orphan))
        await settled()
        try:
            yield worker, live
        finally:
            line.close()
            await asyncio.gather(serving, running)


async def settled() -> None:
    """Let messages arrive: they cross a socket of the system, at which the loop looks once in each turn."""
    for _ in range(50):
        await asyncio.sleep(0.001)


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    async def compile_aside(config_path: Path, out: Path) -> None:
        write(out, Outcome(seen={}, digest="new"))

    monkeypatch.setattr(module, "compile_aside", compile_aside)
    bench = Bench(tmp_path)
    task = asyncio.create_task(bench.reloads.run())
    yield bench
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_one_worker_asks_and_all_of_them_reload(bench: Bench) -> None:
    """The answer goes to the one that asked, and has them all."""
    async with bench.worker(1) as (asking, _), bench.worker(2) as (_, other):
        answer = await asyncio.wait_for(asking.ask(), 30)
        assert answer["result"] == "reloaded"
        assert sorted(each["worker"] for each in answer["workers"]) == [1, 2]
        assert len(other.taken) == 1


async def test_one_that_ends_meanwhile_reports_nothing(bench: Bench) -> None:
    """The others do, and nobody waits for it."""
    async with bench.worker(1) as (asking, _):
        async with bench.worker(2) as (_, other):
            other.go_on.clear()
            answer = asking.ask()
            await settled()
        assert [each["worker"] for each in (await asyncio.wait_for(answer, 30))["workers"]] == [1]
        other.go_on.set()
        await settled()


async def test_one_that_comes_later_is_told_what_is_in_force(bench: Bench) -> None:
    """Unless it has read that itself."""
    await bench.reloads.ask()
    async with bench.worker(1) as (_, behind), bench.worker(2, digest="new") as (_, current):
        assert bench.reloads.good is not None
        assert behind.taken == [bench.reloads.good[0]]
        assert current.taken == []


async def test_the_end_of_the_supervisor_is_noticed(bench: Bench) -> None:
    """So that the worker can drain."""
    ours, theirs = socket.socketpair()
    worker = Worker(await Line.over(theirs), cast("Live", FakeLive(1, "old")))
    ours.close()
    await asyncio.wait_for(worker.run(bench.orphan), 30)
    assert bench.orphaned == 1
