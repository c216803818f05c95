"""A real PostgreSQL for the tests that ask for one: made in a folder of its own, killed and started again."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from extauthz.cli.processes import MissingProgram, Process, free_ports

USER = "postgres"
DATABASE = "postgres"
INIT_SECONDS = 60.0

# A crash of the machine is not tested, a crash of the server is: nothing has to reach the disk for that.
_SETTINGS = ("fsync=off", "shared_buffers=16MB", "max_connections=50", "listen_addresses=127.0.0.1")


class PostgresServer:
    """One PostgreSQL. A context manager: initialised and started on entry, stopped on exit.

    It refuses to run as root; as root we run it as the user that its package made.

    Attributes:
        port: where it listens on the loopback address; the same after a restart.
    """

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self._folder = Path(tempfile.mkdtemp(prefix="extauthz-postgres-"))
        self._data = self._folder / "data"
        self._as_user = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"] if os.getuid() == 0 else []
        command = [*self._as_user, _program("postgres"), "-D", str(self._data), "-p", str(self.port), "-k", ""]
        command += [word for setting in _SETTINGS for word in ("-c", setting)]
        self.process = Process("postgres", command, log=self._folder / "postgres.log", cwd=self._folder)

    def __enter__(self) -> Self:
        """Make the cluster and start it."""
        if self._as_user:
            shutil.chown(self._folder, USER, USER)
        command = [*self._as_user, _program("initdb"), "-D", str(self._data), "-U", USER, "-A", "trust", "-N"]
        subprocess.run(command, check=True, capture_output=True, timeout=INIT_SECONDS, cwd=self._folder)
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it and take its folder away."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def url(self) -> str:
        """As clients take it."""
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{DATABASE}"

    def start(self) -> Self:
        """Start it and wait until it accepts connections."""
        self.process.start().wait_for_line("database system is ready to accept connections")
        self.process.wait_for_port(self.port)
        return self

    def stop(self) -> None:
        """End it, without waiting for clients to leave. Harmless when it does not run."""
        if self.process.running:
            os.kill(self.process.pid, signal.SIGINT)  # a fast shutdown; SIGTERM would wait for clients
        self.process.stop()
        self.process.log.unlink(missing_ok=True)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.stop()
        self.process.log.unlink(missing_ok=True)
        (self._data / "postmaster.pid").unlink(missing_ok=True)


def _program(name: str) -> str:
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    path = str(found[-1]) if found else shutil.which(name)
    if path is None:
        raise MissingProgram(f"{name} is not installed: apt-get install postgresql")
    return path
