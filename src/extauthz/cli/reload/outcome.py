"""What became of the files, on its way from the process that compiled them to those that use them.

The way is a file in a folder that nobody else may enter, and both ends are this program, so pickle is safe and quick.
Whoever takes a policy over reads it a little at a time: ten thousand routes at once would hold up every request for a
fifth of a second.
"""

import gc
import pickle
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from extauthz.config.faults import Fault
from extauthz.config.service_schema import ServiceFile
from extauthz.core.snapshot import Snapshot
from extauthz.keyfiles import Stamp

T = TypeVar("T")

PIECE_PAUSE_SECONDS: Final = 0.02
"""Between two pieces of about 64 KiB, which take a quarter of that: the rest of the time belongs to requests."""

TURN_SECONDS: Final = 0.0005
"""Python's own 5 ms would be added to the time of every request that comes meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the files say, but for the policy itself.

    Attributes:
        seen: the files that were read, each as it was then.
        faults: what is wrong with them; then there is no policy.
        settings: `extauthz.yaml`, if nothing is.
        digest: SHA-256 of the policy's files, likewise.
    """

    seen: Mapping[Path, Stamp]
    faults: tuple[Fault, ...] = ()
    settings: ServiceFile | None = None
    digest: str = ""


def write(path: Path, outcome: Outcome, snapshot: Snapshot | None = None) -> None:
    """Write both for `read_outcome` and `read_policy`."""
    with path.open("xb") as file:
        pickle.dump(outcome, file, protocol=5)
        pickle.dump(snapshot, file, protocol=5)


def read_outcome(path: Path) -> Outcome:
    """The outcome alone, which is small."""
    with path.open("rb") as file:
        return _load(file, Outcome)


def read_policy(path: Path) -> Snapshot:
    """The policy of an outcome without faults. Takes its time: to be called in a thread of its own."""
    with path.open("rb") as file, giving_way(), _collector_spared():
        _load(file, Outcome)
        return _load(_InPieces(file), Snapshot)


def _load(file: "BinaryIO | _InPieces", kind: type[T]) -> T:
    loaded = pickle.load(file)  # noqa: S301 - see the head of the module
    if not isinstance(loaded, kind):
        raise TypeError(f"there is no {kind.__name__} in this file")
    return loaded


class _InPieces:
    """A file that pauses before each piece; pickle asks for as much as one of its frames, and no more than it needs."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        time.sleep(PIECE_PAUSE_SECONDS)
        return self._file.read(size)

    def readline(self) -> bytes:
        return self._file.readline()


@contextmanager
def giving_way() -> Iterator[None]:
    """What this thread does meanwhile, it does in short turns: others wait for the interpreter no longer than that."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(TURN_SECONDS)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


@contextmanager
def _collector_spared() -> Iterator[None]:
    """What is made meanwhile is never searched for cycles: there are none, and the search would hold up all requests."""
    gc.collect(0)
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
