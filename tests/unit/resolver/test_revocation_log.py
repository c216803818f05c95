"""A log in a file: one order of notices for all processes of a host."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from enum import StrEnum
from pathlib import Path

import pytest

from extauthz.resolver import revocation_log
from extauthz.resolver.revocation import ALL, Kind, Notice
from extauthz.resolver.revocation_log import PAGE, FileLog, LogTrouble, RedisLog


def about(*names: str) -> list[Notice]:
    return [Notice(Kind.SUB, name) for name in names]


class Later(StrEnum):
    """Kinds that we do not know."""

    SESSION = "session"


class Logs:
    """Several processes' handles of one file."""

    def __init__(self, path: Path, stack: AsyncExitStack) -> None:
        self.path = path
        self._stack = stack

    def open(self) -> FileLog:
        log = FileLog(self.path)
        self._stack.push_async_callback(log.close)
        return log


@pytest.fixture
async def logs(tmp_path: Path) -> AsyncIterator[Logs]:
    async with AsyncExitStack() as stack:
        yield Logs(tmp_path / "log", stack)


async def test_what_one_writes_all_read_in_the_same_order(logs: Logs) -> None:
    """With positions that follow each other."""
    one, other = logs.open(), logs.open()
    assert await one.append(about("a", "b"), 0) == 2
    assert await other.append([ALL], 0) == 3
    for log in (one, other, logs.open()):
        assert [*await log.read(0)] == [(1, about("a")[0]), (2, about("b")[0]), (3, ALL)]
        assert [logged.position for logged in await log.read(2)] == [3]
        assert [*await log.read(3)] == []


async def test_writers_at_the_same_time_do_not_disturb_each_other(logs: Logs) -> None:
    """Each has its own places."""
    opened = [logs.open() for _ in range(4)]
    writes = [log.append(about(f"{n}", f"{n}"), 0) for log in opened for n in range(25)]
    assert sorted(await asyncio.gather(*writes)) == list(range(2, 202, 2))
    names = [logged.notice.value for logged in await opened[0].read(0)]
    assert names[::2] == names[1::2], "the notices of one call stand together"


async def test_a_long_log_is_read_in_pages(logs: Logs) -> None:
    """None is left out."""
    log = logs.open()
    await log.append(about(*map(str, range(PAGE + 5))), 0)
    first = await log.read(0)
    assert len(first) == PAGE
    assert len(await log.read(first[-1].position)) == 5


async def test_the_oldest_notices_are_dropped(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader who needed them sees that they are missing."""
    monkeypatch.setattr(revocation_log, "MAX_NOTICES", 3)
    log = logs.open()
    for name in "abcde":
        await log.append(about(name), 0)
    assert [logged.position for logged in await log.read(0)] == [3, 4, 5]


async def test_positions_are_never_used_twice(logs: Logs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when all notices were dropped."""
    monkeypatch.setattr(revocation_log, "MAX_NOTICES", 0)
    for place in (1, 2, 3):
        assert await logs.open().append(about("a"), 0) == place


async def test_a_notice_of_a_later_version_is_about_everything(logs: Logs) -> None:
    """What it would not have meant is only asked for again."""
    log = logs.open()
    await log.append([Notice(Later.SESSION, "x")], 0)  # type: ignore[arg-type] # of a later version
    assert [logged.notice for logged in await log.read(0)] == [ALL]


async def test_trouble_is_one_kind_of_trouble(tmp_path: Path) -> None:
    """A folder that is gone, a file that is none."""
    (tmp_path / "file").write_bytes(b"no database" * 100)
    for path in (tmp_path / "missing" / "log", tmp_path / "file"):
        log = FileLog(path)
        for attempt in (log.read(0), log.append(about("a"), 0)):
            with pytest.raises(LogTrouble, match=str(path)):
                await attempt
        await log.close()


class OddRedis:
    """Answers scripts with something else than they return."""

    def __init__(self, answer: object) -> None:
        self.answer = answer

    async def run_alone(self, *_: object) -> object:
        return self.answer


@pytest.mark.parametrize(
    "answer", [None, 5, "1-1", b"1", [], [b"1-1"], [[b"1-1", None]], [[b"1-1", [b"all", 5]]], [[5, []]]]
)
async def test_an_answer_of_another_kind_is_trouble(answer: object) -> None:
    """It must not end the reading, and keeps nobody from revoking here."""
    log = RedisLog(OddRedis(answer), prefix="p")  # type: ignore[arg-type] # the one method that is used
    with pytest.raises(LogTrouble):
        await log.append([ALL], 0)
    if answer != []:
        with pytest.raises(LogTrouble):
            await log.read(0)
