"""One reload after the other: whoever asks while one is under way gets the next one."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from extauthz.cli.reload.compiling import compile_aside
from extauthz.cli.reload.live import Report, summary
from extauthz.cli.reload.outcome import read_outcome
from extauthz.cli.reload.watching import differ
from extauthz.keyfiles import Stamp

Deliver = Callable[[Path], Awaitable[Sequence[Report]]]
"""Has every worker take the outcome in a file over."""

Answer = Mapping[str, Any]
"""What they did, as JSON has it."""


class Reloads:
    """Compiles the files and has the outcome taken over, each time that somebody asks.

    Args:
        config_path: of `extauthz.yaml`.
        seen: the files that are in force.
        folder: for outcomes; nobody else may enter it.
        deliver: hands an outcome to every worker.

    Attributes:
        seen: the files that were read last, each as it was then, whether they were good or not.
        good: the last outcome without faults and its digest, for a worker that is started later; None before the first.
    """

    def __init__(self, config_path: Path, seen: Mapping[Path, Stamp], folder: Path, deliver: Deliver) -> None:
        self._config_path = config_path
        self._folder = folder
        self._deliver = deliver
        self._waiting: list[asyncio.Future[Answer]] = []
        self._asked = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._number = 0
        self.seen = dict(seen)
        self.good: tuple[Path, str] | None = None

    def ask(self) -> "asyncio.Future[Answer]":
        """Ask for a reload that begins from now on."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self._asked.set()
        self._idle.clear()
        return answer

    async def noticed(self) -> None:
        """Files seem to have changed: reload, unless a reload that is under way has read what they say now."""
        await self._idle.wait()
        if differ(self.seen):
            await self.ask()

    async def run(self) -> None:
        """Reload whenever asked, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            waiting, self._waiting = self._waiting, []
            answer = summary(await self._once())
            for each in waiting:
                if not each.done():  # whoever asked may have gone away
                    each.set_result(answer)
            if not self._waiting:
                self._idle.set()

    async def _once(self) -> Sequence[Report]:
        self._number += 1
        path = self._folder / f"policy-{self._number}"
        await compile_aside(self._config_path, path)
        outcome = read_outcome(path)
        self.seen = {**self.seen, **outcome.seen} if outcome.faults else dict(outcome.seen)
        try:
            return await self._deliver(path)
        finally:
            self._keep(path, outcome.digest)

    def _keep(self, path: Path, digest: str) -> None:
        """Keep this outcome if it is good, else the last one that was; the other is of no more use."""
        useless: Path | None = path
        if digest:
            useless, self.good = None if self.good is None else self.good[0], (path, digest)
        if useless is not None:
            useless.unlink(missing_ok=True)
