"""Several workers on the same listeners: each is this program again, started anew when it dies.

Workers are spawned, not forked: grpcio and threads do not survive a fork.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import structlog
from prometheus_client.multiprocess import mark_process_dead

from extauthz.app_resolver import prepare
from extauthz.cli.level_signals import change_level_on_signals
from extauthz.cli.worker import STOP_SECONDS, Sockets
from extauthz.observe.log_level import LogLevel

RESTART_SECONDS = 1.0
"""A worker that dies sooner than this after its start is started again only after this time."""

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("extauthz")


class Supervisor:
    """Keeps `count` workers alive until SIGTERM or SIGINT, then drains them together; SIGHUP is handed on to them."""

    def __init__(
        self,
        *,
        count: int,
        config_path: Path,
        sockets: Sockets,
        drain_delay: float,
        command: Sequence[str] = ("serve",),
        log_level: str = "info",
    ) -> None:
        self._count = count
        self._command = [sys.executable, "-m", "extauthz", *command, "--config", str(config_path)]
        self._command += ["--inherited", f"{sockets.gateway},{sockets.ops}"]
        self._descriptors = (sockets.gateway, sockets.ops)
        self._log_level = log_level
        self._patience = drain_delay + STOP_SECONDS + 5.0
        self._stopping = asyncio.Event()
        self._workers: set[asyncio.subprocess.Process] = set()

    async def run(self) -> None:
        """Run until told to stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGHUP, self._hand_on, signal.SIGHUP)
        with tempfile.TemporaryDirectory(prefix="extauthz-") as name:
            together = Path(name)
            numbers = _furnish(together)
            change_level_on_signals(LogLevel(self._log_level, together))
            await asyncio.gather(*(self._keep_alive(together, numbers) for _ in range(self._count)))

    def _hand_on(self, number: signal.Signals) -> None:
        for worker in self._workers:
            with suppress(ProcessLookupError):  # it has just ended
                worker.send_signal(number)

    async def _keep_alive(self, together: Path, numbers: Path) -> None:
        command = [*self._command, "--together", str(together)]
        environment = {**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(numbers)}
        while not self._stopping.is_set():
            started = time.monotonic()
            worker = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,  # closes when we die, whatever kills us: the worker then drains
                env=environment,
                pass_fds=self._descriptors,
                start_new_session=True,
            )
            self._workers.add(worker)
            await self._watch(worker)
            self._workers.discard(worker)
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
