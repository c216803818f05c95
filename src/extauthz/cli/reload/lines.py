"""How a supervisor and its workers talk: one socket for each worker, one JSON object a line.

worker → supervisor   {"digest": …}             I am ready, with this policy
                      {"ask": 1}                somebody wants a reload
                      {"took": 7, "report": …}  what became of outcome 7
supervisor → worker   {"take": 7, "path": …}    take this outcome over
                      {"answer": 1, "said": …}  what all of you did
The end of the socket is the end of whoever is at its other end.
"""

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from extauthz.cli.reload.live import Live, Report
from extauthz.cli.reload.reloads import Answer, Reloads

TAKE_SECONDS: Final = 60.0
"""How long is waited for a worker that takes an outcome over; it may be starting to drain."""

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
"""A report has all faults of a file."""

Message = Mapping[str, Any]


class Line:
    """One end of a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, end: socket.socket) -> "Line":
        """Use an open socket, which belongs to the line from now on."""
        return cls(*await asyncio.open_connection(sock=end, limit=MAX_LINE_BYTES))

    def send(self, message: Message) -> None:
        """Send it, if the other end is still there."""
        if not self._writer.is_closing():
            self._writer.write(json.dumps(message).encode() + b"\n")

    async def messages(self) -> AsyncIterator[Message]:
        """What the other end says until it ends."""
        with suppress(ConnectionError):
            while line := await self._reader.readline():
                yield json.loads(line)

    def close(self) -> None:
        """End it."""
        self._writer.close()


class Hub:
    """The supervisor's ends."""

    def __init__(self) -> None:
        self._ready: dict[Line, dict[int, asyncio.Future[Report]]] = {}
        self._numbers = itertools.count(1)
        self._beside: set[asyncio.Task[None]] = set()

    async def serve(self, line: Line, reloads: Reloads | None) -> None:
        """Hear one worker until it ends."""
        try:
            async for message in line.messages():
                if reloads is not None:
                    self._heard(line, message, reloads)
        finally:
            for waiting in self._ready.pop(line, {}).values():
                waiting.cancel()
            line.close()

    async def deliver(self, path: Path) -> Sequence[Report]:
        """Have every worker that is ready take an outcome over; those that end meanwhile report nothing."""
        reports = [self._have_taken(line, path) for line in self._ready]
        done = await asyncio.gather(*(asyncio.wait_for(each, TAKE_SECONDS) for each in reports), return_exceptions=True)
        return [report for report in done if isinstance(report, Report)]

    def _heard(self, line: Line, message: Message, reloads: Reloads) -> None:
        match message:
            case {"digest": digest}:
                self._ready[line] = {}
                if reloads.good is not None and reloads.good[1] != digest:  # it read what has changed since
                    self._have_taken(line, reloads.good[0])
            case {"ask": number}:
                task = asyncio.create_task(_answer(line, number, reloads.ask()))
                self._beside.add(task)
                task.add_done_callback(self._beside.discard)
            case {"took": number, "report": report} if number in self._ready[line]:
                waiting = self._ready[line].pop(number)
                if not waiting.done():
                    waiting.set_result(Report.from_json(report))

    def _have_taken(self, line: Line, path: Path) -> "asyncio.Future[Report]":
        number = next(self._numbers)
        taken: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        self._ready[line][number] = taken
        line.send({"take": number, "path": str(path)})
        return taken


async def _answer(line: Line, number: int, answer: Awaitable[Answer]) -> None:
    line.send({"answer": number, "said": await answer})


class Worker:
    """A worker's end."""

    def __init__(self, line: Line, live: Live) -> None:
        self._line = line
        self._live = live
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._taking: set[asyncio.Task[None]] = set()

    def ask(self) -> "asyncio.Future[Answer]":
        """Ask for a reload of all workers."""
        number = next(self._numbers)
        self._asked[number] = asyncio.get_running_loop().create_future()
        self._line.send({"ask": number})
        return self._asked[number]

    async def run(self, orphaned: Callable[[], None]) -> None:
        """Do as the supervisor says until it ends; then tell `orphaned`."""
        self._line.send({"digest": self._live.digest})
        async for message in self._line.messages():
            match message:
                case {"take": number, "path": path}:
                    task = asyncio.create_task(self._take(number, Path(path)))
                    self._taking.add(task)
                    task.add_done_callback(self._taking.discard)
                case {"answer": number, "said": said}:
                    answer = self._asked.pop(number)
                    if not answer.done():
                        answer.set_result(said)
        orphaned()

    async def _take(self, number: int, path: Path) -> None:
        try:
            report = await self._live.take(path)
        except FileNotFoundError:  # a newer outcome has taken its place, and comes next
            return
        self._line.send({"took": number, "report": report.as_json()})
