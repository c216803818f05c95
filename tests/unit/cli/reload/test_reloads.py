"""One reload after the other, whoever asks and however often."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from extauthz.cli.reload import reloads as module
from extauthz.cli.reload.live import Report, Result
from extauthz.cli.reload.outcome import Outcome, read_outcome, write
from extauthz.cli.reload.reloads import Reloads
from extauthz.config.faults import Fault
from extauthz.keyfiles import stamp


def report(worker: int, result: Result = Result.RELOADED) -> Report:
    return Report(worker=worker, result=result, generation=2, digest="d", routes=1)


class Bench:
    """Reloads whose compiler says what it is told, and whose workers take what they get."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.outcome = Outcome(seen={}, digest="1")
        self.compiled = 0
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.delivered: list[Path] = []
        self.reports: Sequence[Report] = [report(1), report(2)]
        self.reloads = Reloads(folder / "extauthz.yaml", {folder / "old": (1, 1, 1, 1)}, folder, self.deliver)
        monkeypatch.setattr(module, "compile_aside", self.compile)

    async def compile(self, config_path: Path, out: Path) -> None:
        self.compiled += 1
        await self.go_on.wait()
        write(out, self.outcome)

    async def deliver(self, path: Path) -> Sequence[Report]:
        assert read_outcome(path) == self.outcome
        self.delivered.append(path)
        return self.reports


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path, monkeypatch)
    task = asyncio.create_task(bench.reloads.run())
    yield bench
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_answer_has_what_every_worker_did(bench: Bench) -> None:
    """And in a word what all of them did, if it is the same."""
    answer = await bench.reloads.ask()
    assert answer["result"] == "reloaded"
    assert [each["worker"] for each in answer["workers"]] == [1, 2]
    bench.reports = [report(1), report(2, Result.REFUSED)]
    assert (await bench.reloads.ask())["result"] == "mixed"
    bench.reports = []
    assert (await bench.reloads.ask())["result"] == "none"


async def test_who_asks_meanwhile_gets_the_next_one(bench: Bench) -> None:
    """The files may have changed after they were read; and all who wait get the same one."""
    bench.go_on.clear()
    first = bench.reloads.ask()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    later = [bench.reloads.ask() for _ in range(3)]
    later[0].cancel()
    bench.go_on.set()
    await asyncio.gather(first, *later[1:])
    assert bench.compiled == 2


async def test_the_last_good_outcome_is_kept(bench: Bench) -> None:
    """For workers that are started later; nothing else is."""
    await bench.reloads.ask()
    bench.outcome = Outcome(seen={}, faults=(Fault(file="f", line=1, column=1, message="no"),))
    await bench.reloads.ask()
    assert bench.reloads.good == (bench.delivered[0], "1")
    assert list(bench.folder.iterdir()) == [bench.delivered[0]]
    bench.outcome = Outcome(seen={}, digest="2")
    await bench.reloads.ask()
    assert bench.reloads.good == (bench.delivered[2], "2")
    assert list(bench.folder.iterdir()) == [bench.delivered[2]]


async def test_bad_files_are_watched_besides_the_good_ones(bench: Bench) -> None:
    """Whichever of them is corrected; once all is well, what is no longer read does not matter."""
    old, new = bench.folder / "old", bench.folder / "new"
    bench.outcome = Outcome(seen={new: None}, faults=(Fault(file="f", line=1, column=1, message="no"),))
    await bench.reloads.ask()
    assert set(bench.reloads.seen) == {old, new}
    bench.outcome = Outcome(seen={new: None}, digest="1")
    await bench.reloads.ask()
    assert set(bench.reloads.seen) == {new}


async def test_a_change_that_is_being_read_is_not_read_again(bench: Bench) -> None:
    """A watcher notices a change also when somebody has asked for it to be read."""
    file = bench.folder / "policy.yaml"
    file.write_text("1")
    bench.outcome = Outcome(seen={file: stamp(file)}, digest="1")
    bench.go_on.clear()
    first = bench.reloads.ask()
    noticed = asyncio.create_task(bench.reloads.noticed())
    await asyncio.sleep(0)
    bench.go_on.set()
    await asyncio.gather(first, noticed)
    assert bench.compiled == 1
    file.write_text("22")
    await bench.reloads.noticed()
    assert bench.compiled == 2
