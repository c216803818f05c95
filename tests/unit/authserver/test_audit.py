"""The record of events: nothing waits for it, nothing is lost uncounted."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.authserver import audit
from extauthz.authserver.audit import FileRecord, StoreRecord
from extauthz.authserver.store.base import StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


async def run_once(record: FileRecord | StoreRecord) -> None:
    """Let the record write what waits, and end it."""
    task = asyncio.create_task(record.run())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_file_is_private_and_may_be_moved_away(tmp_path: Path) -> None:
    """Each batch goes into the file that has the name then; only its owner reads it."""
    path, lost = tmp_path / "audit.jsonl", list[int]()
    record = FileRecord(str(path), on_loss=lost.append)
    record.write({"n": 1})
    await run_once(record)
    path.rename(tmp_path / "audit.jsonl.1")
    second = FileRecord(str(path), on_loss=lost.append)
    second.write({"n": 2})
    await run_once(second)
    assert json.loads(path.read_text()) == {"n": 2}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert lost == []


async def test_what_cannot_be_written_is_counted(tmp_path: Path) -> None:
    """A folder that is not there loses lines, and says how many."""
    lost = list[int]()
    record = FileRecord(str(tmp_path / "no" / "audit.jsonl"), on_loss=lost.append)
    record.write({"n": 1})
    record.write({"n": 2})
    await run_once(record)
    assert lost == [2]


async def test_trouble_with_the_file_is_told_once_and_its_end_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Who looks at no metric learns from the log that the record has a gap, and where it ends."""
    folder = tmp_path / "no"
    record = FileRecord(str(folder / "audit.jsonl"), on_loss=lambda _count: None)
    for _ in range(3):
        record.write({"n": 1})
        record._flush()  # noqa: SLF001 - what the thread does from time to time
    folder.mkdir()
    for _ in range(2):
        record.write({"n": 2})
        record._flush()  # noqa: SLF001
    trouble, end = caplog.messages
    assert trouble.startswith("the audit record cannot be written, its lines are lost: [Errno 2] No such file")
    assert end == "the audit record is written again"


async def test_a_line_that_utf_8_cannot_hold_takes_no_other_with_it(tmp_path: Path) -> None:
    """Half a surrogate pair, which a stranger may send in JSON, is written as an escape."""
    path, lost = tmp_path / "audit.jsonl", list[int]()
    record = FileRecord(str(path), on_loss=lost.append)
    lines: list[dict[str, Any]] = [{"client_id": "app"}, {"client_id": "\ud800"}, {"client_id": "b"}]
    for line in lines:
        record.write(line)
    await run_once(record)
    assert [json.loads(line) for line in path.read_text().splitlines()] == lines
    assert lost == []


async def test_a_queue_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What finds no room is lost and counted; nobody waits."""
    monkeypatch.setattr(audit, "MAX_WAITING", 3)
    lost = list[int]()
    record = FileRecord(str(tmp_path / "audit.jsonl"), on_loss=lost.append)
    for number in range(5):
        record.write({"n": number})
    assert lost == [1, 1]


async def test_lines_into_a_pipe_stay_whole() -> None:
    """Several writes of at most what a pipe takes at once hold whole lines."""
    reading, writing = os.pipe()
    record = FileRecord(writing, on_loss=lambda _count: None)
    for number in range(200):
        record.write({"n": number, "text": "x" * 100})
    await run_once(record)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert [json.loads(line)["n"] for line in pipe] == list(range(200))


class Storage:
    """Fails as often as it is told, then keeps events."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.open = asyncio.Event()
        self.open.set()
        self.kept: list[Mapping[str, Any]] = []

    async def add_events(self, events: Sequence[Mapping[str, Any]]) -> None:
        if self.failures:
            self.failures -= 1
            raise StoreError("no")
        await self.open.wait()
        self.kept += events


@pytest.mark.parametrize(("failures", "kept", "lost"), [(0, 2, []), (1, 0, [2])])
async def test_a_store_that_fails_to_the_end_loses_lines_and_counts_them(
    failures: int, kept: int, lost: list[int]
) -> None:
    """Lines wait for a store that fails; what it has not taken at the end is counted."""
    storage, counted = Storage(failures), list[int]()
    record = StoreRecord(storage, on_loss=counted.append)  # type: ignore[arg-type] # the one method that is used
    record.write({"n": 1})
    record.write({"n": 2})
    await run_once(record)
    assert ([line["n"] for line in storage.kept], [count for count in counted if count]) == ([1, 2][:kept], lost)


async def test_lines_survive_a_pause_of_the_store() -> None:
    """After a failure the same lines are written in their order."""
    storage, ticks = Storage(1), asyncio.Queue[None]()

    async def sleep(_seconds: float) -> None:
        await ticks.get()

    record = StoreRecord(storage, on_loss=lambda _count: None, sleep=sleep)  # type: ignore[arg-type] # see above
    record.write({"n": 1})
    task = asyncio.create_task(record.run())
    ticks.put_nowait(None)
    await asyncio.sleep(0)
    record.write({"n": 2})
    await run_once(record)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [line["n"] for line in storage.kept] == [1, 2]


async def test_lines_that_are_being_written_at_the_end_are_not_lost() -> None:
    """Who is stopped in the middle of a write waits for it, and then writes what is left."""
    storage, ticks = Storage(0), asyncio.Queue[None]()
    storage.open.clear()

    async def sleep(_seconds: float) -> None:
        await ticks.get()

    record = StoreRecord(storage, on_loss=lambda _count: None, sleep=sleep)  # type: ignore[arg-type] # see above
    record.write({"n": 1})
    task = asyncio.create_task(record.run())
    ticks.put_nowait(None)
    for _ in range(10):
        await asyncio.sleep(0)
    record.write({"n": 2})
    task.cancel()
    for _ in range(10):
        await asyncio.sleep(0)
    storage.open.set()
    await asyncio.gather(task, return_exceptions=True)
    assert [line["n"] for line in storage.kept] == [1, 2]
