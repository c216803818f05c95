"""`extauthz serve` as a process whose outputs, exit status and workers can be looked at."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import yaml

import cases
from support.stub_server import ISSUER, SECRET

START_SECONDS = 60.0
STOP_SECONDS = 40.0
"""More than a worker takes at most for requests in flight."""

REQUEST_SECONDS = 30.0
"""Nothing here is about speed, and a busy machine may stand still for a while: waits are long, and end early."""


def loopback(gateway: int, ops: int) -> dict[str, str]:
    """To listen on these ports."""
    return {"gateway": f"127.0.0.1:{gateway}", "ops": f"127.0.0.1:{ops}"}


def write_files(
    folder: Path, listen: Mapping[str, str], introspection: str, *, policy: str = cases.POLICY, **changes: object
) -> Path:
    """Write both files; `changes` replace whole sections of `extauthz.yaml`. Returns its path."""
    settings: dict[str, object] = {
        "listen": dict(listen),
        "policy": "policy.yaml",
        "drain_delay": "0s",
        "authorization_servers": {
            "main": {
                "issuer": ISSUER,
                "introspection_endpoint": introspection,
                "client": {"id": "gateway", "secret": {"env": "EXTAUTHZ_CLIENT_SECRET"}},
                "timeout": "10s",
            }
        },
        "audit": {"path": str(folder / "audit.jsonl")},
    }
    (folder / "policy.yaml").write_text(policy)
    path = folder / "extauthz.yaml"
    path.write_text(yaml.safe_dump(settings | changes, sort_keys=False))
    return path


class Service:
    """One start of the program. A context manager: whatever is left at its end is killed, by process id.

    Args:
        config: path of `extauthz.yaml`.
        arguments: more of the command line.
        secret: the client secret in its environment.
        stdout: a descriptor for standard output; a file beside the configuration otherwise.
    """

    def __init__(self, config: Path, *arguments: str, secret: str = SECRET, stdout: int | None = None) -> None:
        self._command = [sys.executable, "-m", "extauthz", "serve", "--config", str(config), *arguments]
        self._environment = {**os.environ, "EXTAUTHZ_CLIENT_SECRET": secret}
        self._outputs = config.with_name("stdout"), config.with_name("stderr")
        self._stdout = stdout
        self._seen: set[int] = set()

    def __enter__(self) -> Self:
        """Start it."""
        out, err = (path.open("ab") for path in self._outputs)
        with out, err:
            self._popen = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=out if self._stdout is None else self._stdout,
                stderr=err,
                env=self._environment,
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill what is left of it."""
        self._seen |= self.workers()
        self._popen.kill()
        self._popen.wait()
        for pid in filter(is_running, self._seen):
            os.kill(pid, signal.SIGKILL)

    @property
    def pid(self) -> int:
        """Of the process that was started; its workers have others."""
        return self._popen.pid

    def workers(self) -> set[int]:
        """Process ids of its children."""
        try:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return set()
        found = {int(pid) for pid in children.split()}
        self._seen |= found
        return found

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it, not to its workers."""
        self._popen.send_signal(number)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Its exit status, once it has ended by itself."""
        return self._popen.wait(seconds)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._popen.poll() is None

    @property
    def stdout(self) -> str:
        """All that it wrote there."""
        return self._outputs[0].read_text()

    @property
    def stderr(self) -> str:
        """All that it and its workers wrote there."""
        return self._outputs[1].read_text()

    @contextmanager
    def ready(self, ops: int) -> Iterator[Self]:
        """Start it and wait until it wants work."""
        with self:
            wait_until(lambda: not self.running or status(ops, "/readyz") == 200, START_SECONDS)
            assert self.running, self.stderr
            yield self


def is_running(pid: int) -> bool:
    """Whether the process exists and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    """Return once it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP answer."""

    status: int
    headers: list[tuple[str, str]]
    text: str


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a socket file."""

    def __init__(self, path: Path) -> None:
        super().__init__("extauthz", timeout=REQUEST_SECONDS)
        self._path = str(path)

    def connect(self) -> None:
        """Connect to the file."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(REQUEST_SECONDS)
        self.sock.connect(self._path)


def get(address: int | Path, path: str, headers: Iterable[tuple[str, str]] = ()) -> Answer:
    """One GET over a connection of its own, to a port or to a socket file."""
    connection = (
        _UnixConnection(address)
        if isinstance(address, Path)
        else http.client.HTTPConnection("127.0.0.1", address, timeout=REQUEST_SECONDS)
    )
    try:
        connection.putrequest("GET", path)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        return Answer(status=response.status, headers=response.getheaders(), text=response.read().decode())
    finally:
        connection.close()


def status(address: int | Path, path: str) -> int:
    """The status of a GET, 0 while there is no answer."""
    try:
        return get(address, path).status
    except (OSError, http.client.HTTPException):
        return 0


def records(path: Path) -> list[dict[str, Any]]:
    """The lines of a file in JSON, but for one that is being written."""
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]]


def metadata(uri: str = "/orders") -> list[tuple[str, str]]:
    """What NGINX tells about a request."""
    return [("X-Original-Method", "GET"), ("X-Original-URI", uri), ("X-Original-Host", "api.example.com")]


def ask(address: int | Path, token: str = "reader") -> int:
    """What NGINX would be told about a request with this token."""
    return get(address, "/nginx", [*metadata(), ("Authorization", f"Bearer {token}")]).status


def call(channel: grpc.Channel, path: str, message: bytes) -> bytes:
    """One unary gRPC call, from message bytes to message bytes."""
    method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
    return method(message, timeout=REQUEST_SECONDS, wait_for_ready=True)
