"""Several workers on the same listeners: each is this program again, started anew when it dies.

Workers are spawned, not forked: grpcio and threads do not survive a fork. The standard input of each is a socket, by which
it talks to us (`reload.lines`) and learns of our end.
"""

import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import structlog
from prometheus_client.multiprocess import mark_process_dead

from extauthz.app_resolver import prepare
from extauthz.cli.level_signals import change_level_on_signals
from extauthz.cli.reload.lines import Hub, Line
from extauthz.cli.reload.reloads import Reloads
from extauthz.cli.reload.running import meanwhile
from extauthz.cli.worker import STOP_SECONDS, Sockets
from extauthz.observe.log_level import LogLevel

RESTART_SECONDS = 1.0
"""A worker that dies sooner than this after its start is started again only after this time."""

Reloading = Callable[[Path, Hub], tuple[Reloads, Coroutine[None, None, None]]]
"""What reloads workers, and what keeps it going; outcomes go into the folder."""

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("extauthz")


class Supervisor:
    """Keeps `count` workers alive until SIGTERM or SIGINT, then drains them together.

    SIGHUP reloads all of them by way of `reloading`, and is handed on to them where there is none.
    """

    def __init__(
        self,
        *,
        count: int,
        config_path: Path,
        sockets: Sockets,
        drain_delay: float,
        command: Sequence[str] = ("serve",),
        log_level: str = "info",
        reloading: Reloading | None = None,
    ) -> None:
        self._count = count
        self._command = [sys.executable, "-m", "extauthz", *command, "--config", str(config_path)]
        self._command += ["--inherited", f"{sockets.gateway},{sockets.ops}"]
        self._descriptors = (sockets.gateway, sockets.ops)
        self._log_level = log_level
        self._patience = drain_delay + STOP_SECONDS + 5.0
        self._stopping = asyncio.Event()
        self._workers: set[asyncio.subprocess.Process] = set()
        self._hub = Hub()
        self._reloading = reloading
        self._reloads: Reloads | None = None

    async def run(self) -> None:
        """Run until told to stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        with tempfile.TemporaryDirectory(prefix="extauthz-") as name:
            together = Path(name)
            numbers = _furnish(together)
            change_level_on_signals(LogLevel(self._log_level, together))
            async with self._reloaded(together):
                await asyncio.gather(*(self._keep_alive(together, numbers) for _ in range(self._count)))

    @asynccontextmanager
    async def _reloaded(self, together: Path) -> AsyncIterator[None]:
        """Meanwhile workers are reloaded when somebody asks."""
        if self._reloading is None:
            yield
            return
        self._reloads, running = self._reloading(together, self._hub)
        async with meanwhile(running):
            yield

    def _hang_up(self) -> None:
        if self._reloads is not None:
            self._reloads.ask()
            return
        for worker in self._workers:
            with suppress(ProcessLookupError):  # it has just ended
                worker.send_signal(signal.SIGHUP)

    async def _keep_alive(self, together: Path, numbers: Path) -> None:
        command = [*self._command, "--together", str(together)]
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(numbers)}
        while not self._stopping.is_set():
            started = time.monotonic()
            ours, theirs = socket.socketpair()  # ends when we die, whatever kills us: the worker then drains
            with theirs:
                worker = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=theirs.fileno(),
                    env=environment,
                    pass_fds=self._descriptors,
                    start_new_session=True,
                )
            hearing = asyncio.ensure_future(self._hub.serve(await Line.over(ours), self._reloads))
            self._workers.add(worker)
            await self._watch(worker)
            self._workers.discard(worker)
            await hearing  # ends with the worker
            mark_process_dead(worker.pid, str(numbers))  # type: ignore[no-untyped-call] # the library has no types here
            if not self._stopping.is_set():
                _log.error("a worker ended and is started again", pid=worker.pid, status=worker.returncode)
                await self._pause(RESTART_SECONDS - (time.monotonic() - started))

    async def _watch(self, worker: asyncio.subprocess.Process) -> None:
        """Wait until the worker ends; once we are stopping, tell it, and end it if it takes too long."""
        ended = asyncio.create_task(worker.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([ended, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if ended.done():
            return
        worker.terminate()
        try:
            await asyncio.wait_for(asyncio.shield(ended), self._patience)
        except TimeoutError:
            worker.kill()
            await ended

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), max(0.0, seconds))
        except TimeoutError:
            return


def _furnish(together: Path) -> Path:
    """Make what workers share, in their folder; returns the folder of their metrics."""
    prepare(together)
    numbers = together / "metrics"
    numbers.mkdir()
    return numbers
