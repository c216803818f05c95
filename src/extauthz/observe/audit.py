"""The record: one JSON line for each decision, written off the path of the request. Never a token, never a query."""

import select
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import BinaryIO, Final

import orjson

from extauthz.core.contrast import Contrast
from extauthz.core.decision import Deny, Reason, true_reason
from extauthz.observe.events import Checked, Happened, Introspected

MAX_WAITING_LINES: Final = 65_536
"""Lines that may wait for a slow disk or pipe; later ones are lost and counted, requests are not held up."""

MAX_TEXT: Final = 1024
"""Characters of each text that a client chose; the rest is cut."""

_FLUSH_SECONDS: Final = 0.05


class AuditLog:
    """Writes decisions to a binary stream from a thread of its own.

    One write has at most `write_bytes`; a pipe that workers share keeps no more than the default together. `on_loss` is
    told how many events were dropped because the stream was too slow.
    """

    def __init__(self, stream: BinaryIO, *, on_loss: Callable[[int], None], write_bytes: int = select.PIPE_BUF) -> None:
        self._stream = stream
        self._write_bytes = write_bytes
        self._on_loss = on_loss
        self._waiting: deque[bytes] = deque()
        self._lost = 0
        self._lost_told = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def checked(self, event: Checked) -> None:
        """Queue a line about the decision for writing."""
        self.record((event,))

    def record(self, events: Sequence[Checked]) -> None:
        """Queue lines about these decisions. They are made here: a thread that did it would fight for the interpreter."""
        room = max(0, MAX_WAITING_LINES - len(self._waiting))
        for event in events[:room]:
            try:
                self._waiting.append(render(event))
            except TypeError:
                self._lost += 1
        self._lost += max(0, len(events) - room)

    def introspected(self, event: Introspected) -> None:
        """Not part of the record."""

    def happened(self, event: Happened) -> None:
        """Not part of the record."""

    def close(self) -> None:
        """Write what waits and close the stream; a stream that blocks is left behind."""
        self._stop.set()
        self._thread.join(timeout=5)
        if not self._thread.is_alive():
            self._stream.close()

    def _run(self) -> None:
        while not self._stop.wait(_FLUSH_SECONDS):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
        unwritten = 0
        try:
            for chunk in _chunks(lines, self._write_bytes):
                self._stream.write(chunk)
                self._stream.flush()
        except (OSError, ValueError):
            unwritten = len(lines)
        lost = self._lost - self._lost_told
        self._lost_told += lost
        if lost or unwritten:
            self._on_loss(lost + unwritten)


def _chunks(lines: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Whole lines, as many as fit into one write."""
    chunk: list[bytes] = []
    size = 0
    for line in lines:
        if chunk and size + len(line) > limit:
            yield b"".join(chunk)
            chunk, size = [], 0
        chunk.append(line)
        size += len(line)
    if chunk:
        yield b"".join(chunk)


def render(event: Checked) -> bytes:
    """One line of the record.

    Raises:
        TypeError: when a text is none that JSON can hold.
    """
    decision_id, at, door, request_id, method, host, path, decision, level, sub, client_id, _, took, fault, contrast = (
        event
    )
    outcome, status = ("deny", decision.outcome.status) if isinstance(decision, Deny) else ("allow", 200)
    line = {
        "time": datetime.fromtimestamp(at, UTC),
        "decision_id": decision_id,
        "door": door,
        "request_id": request_id[:MAX_TEXT],
        "method": method,
        "host": host[:MAX_TEXT],
        "path": path[:MAX_TEXT],
        "outcome": outcome,
        "reason": decision.reason._value_,  # `value` is a descriptor in Python, and slow
        "status": status,
        "rule": decision.rule,
        "sub": sub,
        "client_id": client_id,
        "level": level,
        "took_us": round(took * 1e6),
    }
    if decision.reason is Reason.SHADOW:
        line["shadow"] = true_reason(decision).value
    if contrast is not None:
        line["candidate"] = _told(contrast)
    if fault:
        line["fault"] = fault
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _told(contrast: Contrast) -> dict[str, str]:
    """What the candidate policy says otherwise."""
    decision = contrast.decision
    if decision is None:
        return {"kind": contrast.kind.value}
    outcome = "deny" if isinstance(decision, Deny) else "allow"
    return {"kind": contrast.kind.value, "outcome": outcome, "reason": decision.reason.value, "rule": decision.rule}
