"""The file of the record is renamed, by others or by ourselves, and no line is lost or torn."""

import errno
import fcntl
import os
import stat
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from extauthz.observe.audit_file import AuditFile, Rotation

LINE = b"x" * 99 + b"\n"


def sizes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


class TestRename:
    """As logrotate does it, with or without a new file in the old place."""

    @pytest.mark.parametrize("created", [True, False])
    def test_what_is_written_after_a_rename_is_in_a_new_file(self, tmp_path: Path, created: bool) -> None:
        """What was written before is in the old one."""
        path = tmp_path / "audit.jsonl"
        file = AuditFile(path)
        file.write(LINE)
        path.rename(tmp_path / "old")
        if created:
            path.touch(0o600)
        file.write(LINE * 2)
        file.close()
        assert sizes(tmp_path) == {"old": 100, "audit.jsonl": 200}
        assert not created or stat.S_IMODE(path.stat().st_mode) == 0o600, "the mode is that of whoever made it"

    def test_a_file_that_was_emptied_in_its_place_is_written_from_the_start(self, tmp_path: Path) -> None:
        """As with copytruncate: there is no hole in it."""
        path = tmp_path / "audit.jsonl"
        file = AuditFile(path)
        file.write(LINE)
        os.truncate(path, 0)
        file.write(LINE)
        file.close()
        assert path.read_bytes() == LINE

    def test_where_no_new_file_can_be_made_the_old_one_is_written_on(self, tmp_path: Path) -> None:
        """A line in the wrong file is better than none."""
        folder = tmp_path / "logs"
        folder.mkdir()
        file = AuditFile(folder / "audit.jsonl")
        folder.rename(tmp_path / "moved")
        file.write(LINE)
        file.close()
        assert sizes(tmp_path / "moved") == {"audit.jsonl": 100}

    def test_a_new_file_is_not_for_everybody(self, tmp_path: Path) -> None:
        """Who did what is in it."""
        AuditFile(tmp_path / "audit.jsonl").close()
        assert (tmp_path / "audit.jsonl").stat().st_mode & stat.S_IRWXO == 0


class TestRotation:
    """By size."""

    def test_a_full_file_becomes_the_first_of_the_old_ones(self, tmp_path: Path) -> None:
        """The oldest one goes; the mode stays."""
        path = tmp_path / "audit.jsonl"
        path.touch()
        path.chmod(0o600)
        file = AuditFile(path, Rotation(max_bytes=250, keep=2))
        for number in range(9):
            file.write(b"%d" % number + LINE[1:])
        file.close()
        assert {name.name: name.read_bytes()[::100] for name in tmp_path.iterdir()} == {
            "audit.jsonl": b"8",
            "audit.jsonl.1": b"67",
            "audit.jsonl.2": b"45",
        }
        assert {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()} == {0o600}

    def test_a_file_that_another_process_is_renaming_is_not_renamed_again(self, tmp_path: Path) -> None:
        """Else a nearly empty one would push out the oldest. Nobody waits: any user may hold that lock for ever."""
        path = tmp_path / "audit.jsonl"
        file = AuditFile(path, Rotation(max_bytes=250, keep=2))
        file.write(LINE * 2)
        other = os.open(tmp_path, os.O_RDONLY)
        fcntl.flock(other, fcntl.LOCK_EX)
        file.write(LINE)
        path.rename(tmp_path / "audit.jsonl.1")
        path.write_bytes(LINE)
        os.close(other)
        file.write(LINE)
        file.close()
        assert sizes(tmp_path) == {"audit.jsonl": 200, "audit.jsonl.1": 300}

    def test_who_fills_a_new_file_while_another_still_renames_old_ones_renames_none(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Somebody else took the full one away. Two that rename at once would put one old file over another."""
        path, rotation = tmp_path / "audit.jsonl", Rotation(max_bytes=250, keep=9)
        file, another = AuditFile(path, rotation), AuditFile(path, rotation)
        replace, threads = Path.replace, list[threading.Thread]()

        def fill() -> None:
            for number in (5, 6):
                another.write(b"%d" % number + LINE[1:] * 2)

        def interrupted(source: Path, target: Path) -> Path:
            if source.name == "audit.jsonl.2" and not threads:
                path.rename(tmp_path / "elsewhere")
                threads.append(threading.Thread(target=fill))
                threads[0].start()
                threads[0].join(0.5)
            return replace(source, target)

        for number in range(4):
            file.write(b"%d" % number + LINE[1:] * 2)
        monkeypatch.setattr(Path, "replace", interrupted)
        file.write(b"4" + LINE[1:] * 2)
        threads[0].join(40)
        file.close()
        another.close()
        written = b"".join(each.read_bytes() for each in tmp_path.iterdir())
        assert sorted(written.translate(None, b"x\n")) == sorted(b"0123456")

    def test_where_a_folder_cannot_be_locked_the_file_is(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As on NFS, which wants a lock to be on what can be written."""
        flock, locked = fcntl.flock, list[bool]()

        def of_files(descriptor: int, operation: int) -> None:
            if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                raise OSError(errno.EBADF, "Bad file descriptor")
            locked.append(operation == fcntl.LOCK_EX | fcntl.LOCK_NB)
            flock(descriptor, operation)

        monkeypatch.setattr(fcntl, "flock", of_files)
        file = AuditFile(tmp_path / "audit.jsonl", Rotation(max_bytes=250, keep=2))
        for _ in range(2):
            file.write(LINE * 2)
        file.close()
        assert locked == [True, False]
        assert sizes(tmp_path) == {"audit.jsonl": 200, "audit.jsonl.1": 200}

    def test_what_is_larger_than_a_file_is_written_whole(self, tmp_path: Path) -> None:
        """Into one of its own."""
        file = AuditFile(tmp_path / "audit.jsonl", Rotation(max_bytes=150, keep=3))
        for _ in range(2):
            file.write(LINE * 5)
        file.close()
        assert sizes(tmp_path) == {"audit.jsonl": 500, "audit.jsonl.1": 500}

    def test_where_nothing_can_be_renamed_the_file_grows(self, tmp_path: Path) -> None:
        """A folder stands where the old file would be."""
        (tmp_path / "audit.jsonl.1" / "full").mkdir(parents=True)
        file = AuditFile(tmp_path / "audit.jsonl", Rotation(max_bytes=150, keep=1))
        for _ in range(5):
            file.write(LINE)
        file.close()
        assert (tmp_path / "audit.jsonl").stat().st_size == 500


WRITER = """
import sys
from contextlib import suppress
from pathlib import Path
from extauthz.observe.audit_file import AuditFile, Rotation

file = AuditFile(Path(sys.argv[1]), Rotation(max_bytes=20_000, keep=1000))
for number in range(3000):
    line = f"{sys.argv[2]}:{number}:".encode().ljust(99, b".") + b"\\n"
    assert file.write(line) == len(line)
"""


def test_processes_that_share_a_file_lose_and_tear_nothing_when_it_is_full(tmp_path: Path) -> None:
    """Each of them may be the one to rename it, again and again, and somebody else renames it as well."""
    path = tmp_path / "audit.jsonl"
    done = threading.Event()

    def logrotate() -> None:
        for number in range(20):
            if done.wait(0.02):
                return
            with suppress(FileNotFoundError):  # a writer renamed it this instant
                path.rename(tmp_path / f"elsewhere.{number}")

    other = threading.Thread(target=logrotate)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "ab"]
    other.start()
    try:
        assert [writer.wait(120) for writer in writers] == [0, 0]
    finally:
        done.set()
        other.join()
    written = b"".join(each.read_bytes() for each in tmp_path.iterdir()).splitlines()
    assert {len(line) for line in written} == {99}
    numbers = sorted((line.split(b":")[0], int(line.split(b":")[1])) for line in written)
    assert numbers == [(name, number) for name in (b"a", b"b") for number in range(3000)]
    assert sum(name.startswith("audit.jsonl.") for name in sizes(tmp_path)) >= 3
