"""Changes are noticed however they are made, and only when they are changes of what was read."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from extauthz.cli.reload import watching as watching_module
from extauthz.cli.reload.watching import changes, differ, watched_folders
from extauthz.keyfiles import Stamp, stamp

SETTLE = 0.05
SECONDS = 30.0


class Watch:
    """Counts what is noticed; each time, what is there now counts as seen."""

    def __init__(self, *files: Path, settle: float) -> None:
        self.files = files
        self.settle = settle
        self.seen: dict[Path, Stamp] = {}
        self.look()
        self.noticed = 0
        self.news = asyncio.Event()

    def look(self) -> None:
        self.seen = {file: stamp(file) for file in self.files}

    async def run(self) -> None:
        async with aclosing(changes(lambda: self.seen, self.settle)) as found:
            async for _ in found:
                self.look()
                self.noticed += 1
                self.news.set()

    async def next(self) -> None:
        async with asyncio.timeout(SECONDS):
            await self.news.wait()
        self.news.clear()


def append(file: Path) -> None:
    with file.open("a") as opened:
        opened.write("line\n")


@asynccontextmanager
async def watching(*files: Path, settle: float = SETTLE) -> AsyncIterator[Watch]:
    watch = Watch(*files, settle=settle)
    task = asyncio.create_task(watch.run())
    await asyncio.sleep(0.2)  # until the system watches
    try:
        yield watch
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_file_is_written_anew_or_renamed_over(tmp_path: Path) -> None:
    """As editors do, one or the other, and again after that."""
    file, new = tmp_path / "policy.yaml", tmp_path / ".policy.yaml.swp"
    file.write_text("1")
    async with watching(file) as watch:
        for text in ("22", "333"):
            file.write_text(text)
            await watch.next()
            new.write_text(text * 2)
            new.rename(file)
            await watch.next()


def config_map(folder: Path, version: str, text: str) -> None:
    """Put a version in place as Kubernetes does: a new folder, then the link `..data` is swapped."""
    (folder / f"..{version}").mkdir()
    (folder / f"..{version}" / "policy.yaml").write_text(text)
    (folder / "..data_tmp").symlink_to(f"..{version}")
    (folder / "..data_tmp").rename(folder / "..data")


async def test_a_config_map_is_swapped(tmp_path: Path) -> None:
    """The link that bears the name of the file never changes; the folder behind it does."""
    config_map(tmp_path, "v1", "1")
    (tmp_path / "policy.yaml").symlink_to("..data/policy.yaml")
    async with watching(tmp_path / "policy.yaml") as watch:
        for version in ("v2", "v3"):
            config_map(tmp_path, version, version)
            await watch.next()


async def test_a_link_on_the_way_leads_elsewhere(tmp_path: Path) -> None:
    """`/etc/extauthz/policy.yaml` → `/srv/current/policy.yaml`, and `current` is set to another release."""
    for release in ("one", "two"):
        (tmp_path / "srv" / release).mkdir(parents=True)
        (tmp_path / "srv" / release / "policy.yaml").write_text(release * 2)
    current = tmp_path / "srv" / "current"
    current.symlink_to("one")
    (tmp_path / "etc").mkdir()
    file = tmp_path / "etc" / "policy.yaml"
    file.symlink_to(current / "policy.yaml")
    async with watching(file) as watch:
        (tmp_path / "srv" / "next").symlink_to("two")
        (tmp_path / "srv" / "next").rename(current)
        await watch.next()
        (tmp_path / "srv" / "two" / "policy.yaml").write_text("in a folder that was not on the way before")
        await watch.next()


async def test_other_files_of_the_folder_are_nobodys_business(tmp_path: Path) -> None:
    """Such as an audit log."""
    file = tmp_path / "policy.yaml"
    file.write_text("1")
    async with watching(file) as watch:
        for _ in range(5):
            append(tmp_path / "audit.log")
            await asyncio.sleep(2 * SETTLE)
        assert watch.noticed == 0
        file.write_text("22")
        await watch.next()
        assert watch.noticed == 1


async def test_many_writes_in_a_row_are_one_change(tmp_path: Path) -> None:
    """A file that is still being written is left alone: only a pause of the writer may be taken for the end."""
    file, settle = tmp_path / "policy.yaml", 0.6
    file.write_text("")
    async with watching(file, settle=settle) as watch:
        pauses, before = 0, time.monotonic()
        for _ in range(12):
            append(file)
            await asyncio.sleep(settle / 10)
            now = time.monotonic()
            pauses, before = pauses + (now - before > settle / 2), now
        await watch.next()
        await asyncio.sleep(2 * settle)
        assert watch.noticed <= 1 + pauses


async def test_without_watches_files_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some hosts have given all of theirs away."""

    def none_left(*_: object, **__: object) -> NoReturn:
        raise OSError("no space left on device")

    monkeypatch.setattr(watching_module, "awatch", none_left)
    monkeypatch.setattr(watching_module, "LOOK_MILLISECONDS", 20)
    file = tmp_path / "policy.yaml"
    file.write_text("1")
    async with watching(file) as watch:
        file.write_text("22")
        await watch.next()


async def test_a_folder_that_was_made_anew_is_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As deployments do that remove what was there before."""
    monkeypatch.setattr(watching_module, "LOOK_MILLISECONDS", 100)
    folder = tmp_path / "etc"
    folder.mkdir()
    file = folder / "policy.yaml"
    file.write_text("1")
    async with watching(file) as watch:
        file.unlink()
        folder.rmdir()
        await watch.next()
        folder.mkdir()
        file.write_text("22")
        await watch.next()
        file.write_text("333")
        await watch.next()


def test_a_change_is_one_of_what_was_seen(tmp_path: Path) -> None:
    """A file that appears or goes has changed too."""
    file = tmp_path / "f"
    assert not differ({file: None})
    file.write_text("")
    assert differ({file: None})
    seen = {file: stamp(file)}
    assert not differ(seen)
    file.unlink()
    assert differ(seen)


def test_folders_of_every_link_on_the_way_are_watched(tmp_path: Path) -> None:
    """And a circle of links ends."""
    config_map(tmp_path, "v1", "1")
    (tmp_path / "policy.yaml").symlink_to("..data/policy.yaml")
    (tmp_path / "circle").symlink_to("circle")
    found = watched_folders([tmp_path / "policy.yaml"])
    assert {tmp_path, tmp_path / "..v1"} <= set(found)
    assert watched_folders([tmp_path / "circle"]) == (tmp_path,)
    assert watched_folders([tmp_path / "missing" / "f"]) == ()
