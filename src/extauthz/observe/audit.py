"""The record: a line for each decision, written off the path of the request. What cannot be written waits, as far as there is room."""

import select
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Protocol

from extauthz.observe.audit_line import is_kept, render
from extauthz.observe.events import BATCH, Checked, Happened, Happening, Introspected

MAX_WAITING_LINES: Final = 65_536
"""Lines that may wait for a slow disk or pipe; later ones are lost and counted, requests are not held up."""

_FLUSH_SECONDS: Final = 0.05

_SUBJECT: Final = "audit"


class Stream(Protocol):
    """Takes bytes at once and says how many; raises OSError or ValueError when it takes none."""

    def write(self, data: bytes, /) -> int | None:
        """Write as much as can be written."""

    def close(self) -> object:
        """Give it back."""


class AuditLog:
    """Writes decisions to a stream from a thread of its own.

    One write has at most `write_bytes`; a pipe that workers share keeps no more than the default together. A stream that
    fails is tried again until it takes what waits; `on_loss` is told how many decisions found no room meanwhile, and
    `on_trouble` when it begins and when it is over. Both are called from that thread. `sample_allows` is the share of
    allows that are written.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        on_loss: Callable[[int], None],
        on_trouble: Callable[[Happened], None] = lambda _: None,
        sample_allows: float = 1.0,
        write_bytes: int = select.PIPE_BUF,
    ) -> None:
        self._stream = stream
        self._write_bytes = write_bytes
        self._on_loss = on_loss
        self._on_trouble = on_trouble
        self._sample_allows = sample_allows
        self._waiting: deque[bytes] = deque()
        self._taken: list[bytes] = []
        self._accepted = 0
        self._written = 0
        self._torn = False
        self._failing = False
        self._lost = 0
        self._lost_told = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    @property
    def able(self) -> bool:
        """Whether a decision that is made now finds room, with all those that are about to be handed on; and the stream works."""
        return not self._failing and self._room > BATCH

    @property
    def _room(self) -> int:
        # Each number has one thread that changes it. The lengths of the two queues would miss what is on its way between.
        return MAX_WAITING_LINES - (self._accepted - self._written)

    def checked(self, event: Checked) -> None:
        """Queue a line about the decision for writing."""
        self.record((event,))

    def record(self, events: Sequence[Checked]) -> None:
        """Queue lines about these decisions. They are made here: a thread that did it would fight for the interpreter."""
        rate = self._sample_allows
        kept = events if rate >= 1 else [event for event in events if is_kept(event, rate)]
        lines = [render(event, rate) for event in kept[: max(0, self._room)]]
        self._accepted += len(lines)
        self._waiting.extend(lines)
        self._lost += len(kept) - len(lines)

    def introspected(self, event: Introspected) -> None:
        """Not part of the record."""

    def happened(self, event: Happened) -> None:
        """Not part of the record."""

    def close(self) -> None:
        """Write what waits and close the stream; a stream that blocks is left behind."""
        self._stop.set()
        self._thread.join(timeout=5)
        left = MAX_WAITING_LINES - self._room
        if left:
            self._tell(Happening.AUDIT_FAILED, f"{left} decisions are not in the record: it cannot be written")
            self._on_loss(left)
        if not self._thread.is_alive():
            self._stream.close()

    def _run(self) -> None:
        while not self._stop.wait(_FLUSH_SECONDS):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        waiting = self._waiting
        self._taken += [waiting.popleft() for _ in range(len(waiting))]
        if self._taken:
            self._write_taken()
        lost = self._lost - self._lost_told
        self._lost_told += lost
        if lost:
            self._on_loss(lost)

    def _write_taken(self) -> None:
        """Write as many lines as the stream takes; the others stay."""
        trouble = ""
        try:
            for lines in _chunks(tuple(self._taken), self._write_bytes):
                self._write(b"".join(lines))
        except (OSError, ValueError) as error:
            trouble = str(error) or type(error).__name__
        if bool(trouble) is not self._failing:
            self._failing = bool(trouble)
            self._tell(Happening.AUDIT_FAILED if trouble else Happening.AUDIT_BACK, trouble)

    def _write(self, lines: bytes) -> None:
        """All of them. Where a disk became full within a line, the line is written anew after the torn one."""
        end_of_torn = b"\n" if self._torn else b""
        rest = end_of_torn + lines
        extra = len(end_of_torn)
        while rest:
            done = self._stream.write(rest) or 0
            if not done:
                raise BlockingIOError("it takes nothing now")
            whole = rest.count(b"\n", 0, done) - extra
            del self._taken[:whole]
            self._written += whole
            self._torn = rest[done - 1 : done] != b"\n"
            rest, extra = rest[done:], 0

    def _tell(self, what: Happening, detail: str) -> None:
        self._on_trouble(Happened(what=what, subject=_SUBJECT, detail=detail))


def _chunks(lines: Sequence[bytes], limit: int) -> Iterator[list[bytes]]:
    """Whole lines, as many as fit into one write."""
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        if chunk and size + len(line) > limit:
            yield chunk
            chunk, size = [], 0
        chunk.append(line)
        size += len(line)
    if chunk:
        yield chunk
