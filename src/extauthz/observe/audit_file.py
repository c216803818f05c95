"""The file of the record. It may be renamed at any time, and begins a new one by itself when it is full."""

import fcntl
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

_MODE: Final = 0o640
"""Of a new file, less what the umask takes: subjects and paths are not everybody's to read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """When to begin a new file.

    Attributes:
        max_bytes: a file that would grow beyond it is renamed to `.1`, what was `.1` to `.2`, and so on.
        keep: so many files besides the one that is written; older ones are removed.
    """

    max_bytes: int
    keep: int


class AuditFile:
    """Appends to a file, with other processes if need be. Not for several threads.

    Before each write it is looked up by name: after a rename, as `logrotate` does it, the next write makes a new file.
    """

    def __init__(self, path: Path, rotation: Rotation | None = None) -> None:
        self._path = path
        self._rotation = rotation
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _MODE)

    def write(self, data: bytes, /) -> int:
        """Append as much as there is room for; returns the number of bytes. Raises OSError when that is none."""
        there = self._there()
        if there is None or not self._is_ours(there):
            self._reopen()
        elif self._rotation is not None and 0 < there.st_size > self._rotation.max_bytes - len(data):
            self._rotate(self._rotation, len(data))
        return os.write(self._descriptor, data)

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)

    def _there(self) -> os.stat_result | None:
        """What has our name now."""
        try:
            return self._path.stat()
        except FileNotFoundError:
            return None

    def _is_ours(self, there: os.stat_result) -> bool:
        return os.path.samestat(there, os.fstat(self._descriptor))

    def _reopen(self, mode: int = _MODE) -> None:
        """What is open stays in use where no file can be made."""
        with suppress(OSError):
            fresh = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, mode)
            os.close(self._descriptor)
            self._descriptor = fresh

    def _rotate(self, rotation: Rotation, size: int) -> None:
        """One process at a time. For all others, and where nothing can be renamed, the file grows on until the next write.

        Nobody waits: whoever may look into the folder can lock it, and would hold up the whole record.
        """
        lock = self._lock()
        if lock is None:
            return
        try:
            there = self._there()
            if there is not None and self._is_ours(there) and there.st_size + size > rotation.max_bytes:
                with suppress(OSError):
                    self._rename(rotation.keep)
            self._reopen(stat.S_IMODE(os.fstat(self._descriptor).st_mode))
        finally:
            with suppress(OSError):
                fcntl.flock(lock, fcntl.LOCK_UN)
            os.close(lock)

    def _lock(self) -> int | None:
        """Of the folder: others may rename the file meanwhile, and then the next one is no lock. NFS locks only files.

        None when somebody else has it.
        """
        for opened in (partial(os.open, self._path.parent, os.O_RDONLY), partial(os.dup, self._descriptor)):
            try:
                lock = opened()
            except OSError:
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return None
            except OSError:
                os.close(lock)
            else:
                return lock
        return None

    def _rename(self, keep: int) -> None:
        for number in range(keep - 1, 0, -1):
            with suppress(FileNotFoundError):
                self._numbered(number).replace(self._numbered(number + 1))
        self._path.replace(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")
