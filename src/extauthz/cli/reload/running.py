"""What keeps reloads going: in a worker that is alone, in one that has a supervisor, and in the supervisor."""

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Final

from extauthz.cli.reload.lines import Line, Worker
from extauthz.cli.reload.live import Live, Report
from extauthz.cli.reload.reloads import Answer, Reloads
from extauthz.cli.reload.watching import changes
from extauthz.config.load import ServiceConfig
from extauthz.config.service_schema import Reload

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a folder of our own in it

Ask = Callable[[], "asyncio.Future[Answer]"]
"""Has the files read again; what became of it."""


async def keep_reloading(reloads: Reloads, section: Reload) -> None:
    """Reload whenever somebody asks, and when files change if they are watched, until cancelled."""
    async with meanwhile(reloads.run()):
        if section.watch:
            async with aclosing(changes(lambda: reloads.seen, section.settle)) as changed:
                async for _ in changed:
                    await reloads.noticed()
        await asyncio.Event().wait()  # for ever: SIGHUP and the operator can still ask


@asynccontextmanager
async def alone(live: Live, config: ServiceConfig, config_path: Path) -> AsyncIterator[Ask]:
    """The only worker does all of it by itself."""

    async def deliver(path: Path) -> Sequence[Report]:
        return [await live.take(path)]

    with _private_folder() as folder:
        reloads = Reloads(config_path, config.seen, Path(folder), deliver)
        async with meanwhile(keep_reloading(reloads, config.settings.reload)):
            yield reloads.ask


def _private_folder() -> "tempfile.TemporaryDirectory[str]":
    """Where temporary files usually are; in memory where the file system of a container is read-only."""
    try:
        return tempfile.TemporaryDirectory(prefix="extauthz-")
    except OSError:
        return tempfile.TemporaryDirectory(prefix="extauthz-", dir=MEMORY)


@asynccontextmanager
async def supervised(live: Live, orphaned: Callable[[], None]) -> AsyncIterator[Ask]:
    """One of several takes over what its supervisor has compiled; `orphaned` is told when that is gone."""
    worker = Worker(await Line.over(socket.socket(fileno=os.dup(0))), live)
    async with meanwhile(worker.run(orphaned)):
        yield worker.ask


@asynccontextmanager
async def meanwhile(running: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run it beside the block, and end it with the block."""
    task = asyncio.create_task(running)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
