"""The record: every event as a JSON object, written behind the requests to a file, to standard output or to the store."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import select
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final, Protocol

import orjson

from extauthz.authserver.store.base import StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping

    from extauthz.authserver.store.base import Store

MAX_WAITING: Final = 65_536
"""Lines that may wait for a slow disk or store; later ones are lost and counted, requests are not held up."""

FLUSH_SECONDS: Final = 0.1

STORE_STEP: Final = 500
"""Lines of one transaction."""

STOP_SECONDS: Final = 5.0
"""At the end, for what waits; a disk or pipe that hangs is left behind."""

FILE_MODE: Final = 0o600

Line = dict[str, Any]

_log = logging.getLogger(__name__)


class Record(Protocol):
    """Where lines go."""

    def write(self, line: Line) -> None:
        """Queue the line; must neither wait nor raise."""

    async def run(self) -> None:
        """Write what is queued until cancelled, and then what is left."""


class _Queue:
    """Lines that wait, and how many found no room. ``on_loss`` is told how many were lost."""

    def __init__(self, on_loss: Callable[[int], None]) -> None:
        self._on_loss = on_loss
        self._waiting: deque[Line] = deque()

    def write(self, line: Line) -> None:
        """See ``Record``."""
        if len(self._waiting) < MAX_WAITING:
            self._waiting.append(line)
        else:
            self._on_loss(1)

    def _take(self, most: int = MAX_WAITING) -> list[Line]:
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]


class StoreRecord(_Queue):
    """Writes into the store's table of events. While the storage fails, lines wait."""

    def __init__(
        self,
        store: Store,
        *,
        on_loss: Callable[[int], None],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        super().__init__(on_loss)
        self._store = store
        self._sleep = sleep

    async def run(self) -> None:
        """See ``Record``."""
        writing: asyncio.Task[bool] | None = None
        try:
            while True:
                await self._sleep(FLUSH_SECONDS)
                writing = asyncio.create_task(self._flush())
                await asyncio.shield(writing)  # who is stopped now writes these lines to their end
        finally:
            async with asyncio.timeout(STOP_SECONDS):
                if writing is not None:
                    await writing
                if not await self._flush():
                    self._on_loss(len(self._waiting))

    async def _flush(self) -> bool:
        """Write all that waits; false when the storage failed."""
        while batch := self._take(STORE_STEP):
            try:
                await self._store.add_events(batch)
            except StoreError:
                self._waiting.extendleft(reversed(batch))
                return False
        return True


class FileRecord(_Queue):
    """Appends lines to a private file, or to the descriptor ``path``, from a thread of its own.

    The file is opened for each batch, so it may be moved away at any time, as logrotate does.
    """

    def __init__(self, path: str | int, *, on_loss: Callable[[int], None]) -> None:
        super().__init__(on_loss)
        self._path = path
        self._stop = threading.Event()
        self._in_trouble = False

    def check(self) -> None:
        """See that the file can be opened. Raises OSError when it cannot; the message names it."""
        try:
            self._append(())
        except OSError as error:
            raise OSError(f"cannot write to {self._path}, which audit names: {error.strerror}") from error

    async def run(self) -> None:
        """See ``Record``."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def work() -> None:
            while not self._stop.wait(FLUSH_SECONDS):
                self._flush()
            self._flush()
            loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=work, name="audit", daemon=True).start()
        try:
            await ended.wait()
        finally:
            self._stop.set()
            async with asyncio.timeout(STOP_SECONDS):
                await ended.wait()

    def _flush(self) -> None:
        batch = self._take()
        if not batch:
            return
        try:
            self._append(batch)
        except (OSError, TypeError) as error:
            self._on_loss(len(batch))
            self._tell(f"the audit record cannot be written, its lines are lost: {error}", trouble=True)
        else:
            self._tell("the audit record is written again", trouble=False)

    def _tell(self, what: str, *, trouble: bool) -> None:
        if trouble is not self._in_trouble:
            _log.log(logging.ERROR if trouble else logging.WARNING, "%s", what)
        self._in_trouble = trouble

    def _append(self, batch: Iterable[Mapping[str, Any]]) -> None:
        if isinstance(self._path, int):
            _write_lines(self._path, batch)
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, FILE_MODE)
        try:
            _write_lines(descriptor, batch)
        finally:
            os.close(descriptor)


def _write_lines(descriptor: int, batch: Iterable[Mapping[str, Any]]) -> None:
    for chunk in _chunks(map(_rendered, batch)):
        while chunk:
            chunk = chunk[os.write(descriptor, chunk) :]  # noqa: PLW2901 - what is left of it


def _rendered(line: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:  # a text that UTF-8 cannot hold: half a surrogate pair
        return json.dumps(line).encode() + b"\n"


def _chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines, as many as a pipe takes at once: several workers may write into it."""
    chunk = b""
    for line in lines:
        if chunk and len(chunk) + len(line) > select.PIPE_BUF:
            yield chunk
            chunk = b""
        chunk += line
    if chunk:
        yield chunk
