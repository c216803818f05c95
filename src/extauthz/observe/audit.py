"""The record: one JSON line for each decision, written off the path of the request. Never a token, never a query."""

import select
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import BinaryIO, Final

import orjson

from extauthz.core.decision import Allow, Deny
from extauthz.observe.events import Checked, Happened, Introspected

MAX_WAITING_EVENTS: Final = 65_536
"""Events that may wait for a slow disk or pipe; later ones are lost and counted, requests are not held up."""

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
        self._waiting: deque[Checked] = deque()
        self._lost = 0
        self._lost_told = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._thread.start()

    def checked(self, event: Checked) -> None:
        """Queue the event for writing."""
        if len(self._waiting) < MAX_WAITING_EVENTS:
            self._waiting.append(event)
        else:
            self._lost += 1

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
        batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        unwritten = 0
        try:
            if batch:
                for chunk in _chunks(map(render, batch), self._write_bytes):
                    self._stream.write(chunk)
                    self._stream.flush()
        except (OSError, ValueError, TypeError):
            unwritten = len(batch)
        lost = self._lost - self._lost_told
        self._lost_told += lost
        if lost or unwritten:
            self._on_loss(lost + unwritten)


def _chunks(lines: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """Whole lines, as many as fit into one write."""
    chunk = b""
    for line in lines:
        if chunk and len(chunk) + len(line) > limit:
            yield chunk
            chunk = b""
        chunk += line
    if chunk:
        yield chunk


def render(event: Checked) -> bytes:
    """One line of the record."""
    decision = event.decision
    status = decision.outcome.status if isinstance(decision, Deny) else 200
    line = {
        "time": datetime.fromtimestamp(event.at, UTC),
        "decision_id": event.decision_id,
        "door": event.door,
        "request_id": event.request_id[:MAX_TEXT],
        "method": event.method,
        "host": event.host[:MAX_TEXT],
        "path": event.path[:MAX_TEXT],
        "outcome": "allow" if isinstance(decision, Allow) else "deny",
        "reason": decision.reason.value,
        "status": status,
        "rule": decision.rule,
        "sub": event.sub,
        "client_id": event.client_id,
        "level": event.level,
        "took_us": round(event.took_seconds * 1e6),
    }
    if event.fault:
        line["fault"] = event.fault
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
