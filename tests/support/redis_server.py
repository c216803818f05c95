"""A real Redis for the tests that ask for one: alone, encrypted, paused, killed and started again.

Nothing is kept on disk: a server that was killed comes back empty.
"""

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from extauthz.cli.processes import MissingProgram, Process, ProcessFailed, free_ports
from support.certificates import Authority, KeyPair

LOOPBACK = "127.0.0.1"
ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Encryption: who signed the certificates, the server's own, and whether clients must show one."""

    authority: Authority
    server: KeyPair
    client_must_show: bool = False


class RedisServer:
    """One redis-server. A context manager: started on entry, stopped on exit.

    Args:
        folder: for its log and its socket file.
        tls: speak TLS on the port, and nothing else.
        password: what clients have to know; empty for everybody.
        options: more of its command line, as `("--maxmemory", "100kb")`.
        name: tells several in one folder apart.

    Attributes:
        port: where it listens on the loopback address; the same after a restart.
        socket: the file where it listens too, never encrypted.
    """

    def __init__(
        self,
        folder: Path,
        *,
        tls: Tls | None = None,
        password: str = "",
        options: Sequence[str] = (),
        name: str = "redis",
    ) -> None:
        (self.port,) = free_ports(1)
        self._password = password
        self.socket = folder / f"{name}.sock"
        self.tls = tls
        command = [program("redis-server"), "--bind", LOOPBACK, "--dir", str(folder), "--save", ""]
        command += ["--requirepass", password] if password else []
        command += ["--unixsocket", str(self.socket), *_port_options(self.port, tls), *options]
        self.process = Process(name, command, log=folder / f"{name}.log")

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it, paused or not."""
        self.stop()

    @property
    def url(self) -> str:
        """As clients take it; over TLS they need the authority's certificate besides."""
        return f"{'rediss' if self.tls else 'redis'}://{LOOPBACK}:{self.port}/0"

    def start(self) -> Self:
        """Start it and wait until it accepts connections."""
        self.process.start()
        try:
            self.process.wait_for_port(self.port)
        except ProcessFailed:
            self.process.stop()
            raise
        return self

    def stop(self) -> None:
        """End it in order. Harmless when it does not run."""
        if self.process.running:
            self.resume()
        self.process.stop()

    def kill(self) -> None:
        """End it at once, as a crash does: connections are cut, nothing is said."""
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.stop()

    def restart(self) -> Self:
        """Stop it if it runs, and start it empty on the same port."""
        self.stop()
        return self.start()

    def pause(self) -> None:
        """Let it hang: the kernel still accepts connections, and no one answers."""
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on. Harmless when it was not paused."""
        os.kill(self.process.pid, signal.SIGCONT)

    def flush(self) -> None:
        """Forget all keys."""
        self.command("FLUSHALL")

    def keys(self) -> list[str]:
        """All keys, sorted."""
        return sorted(self.command("KEYS", "*"))

    def raw(self, *words: str | bytes) -> Any:  # noqa: ANN401 - what Redis answers depends on the command
        """Send one command and return the answer as bytes."""
        return self._execute(words, decode_responses=False)

    def everything(self) -> dict[str, bytes]:
        """Every key that there is, with its whole content as Redis stores it."""
        return {name: self.raw("DUMP", name) for name in self.keys()}

    def command(self, *words: str | int) -> Any:  # noqa: ANN401 - what Redis answers depends on the command
        """Send one command over the socket file, where TLS does not matter."""
        return self._execute(words)

    def _execute(self, words: Sequence[str | bytes | int], **settings: bool) -> Any:  # noqa: ANN401 - as above
        with client(unix_socket_path=str(self.socket), password=self._password or None, **settings) as connection:
            return connection.execute_command(*words)  # type: ignore[no-untyped-call] # as the library has it


@contextlib.contextmanager
def client(**address: Any) -> Iterator[redis.Redis]:  # noqa: ANN401 - as the library takes them
    """A client with text answers that gives up at the first failure, closed at the end."""
    settings: dict[str, Any] = {
        "decode_responses": True,
        "socket_timeout": ANSWER_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    connection = redis.Redis(**(settings | address))
    try:
        yield connection
    finally:
        connection.close()


def _port_options(port: int, tls: Tls | None) -> list[str]:
    if tls is None:
        return ["--port", str(port)]
    return [
        *("--port", "0", "--tls-port", str(port)),
        *("--tls-cert-file", str(tls.server.certificate), "--tls-key-file", str(tls.server.key)),
        *("--tls-ca-cert-file", str(tls.authority.path)),
        *("--tls-auth-clients", "yes" if tls.client_must_show else "no"),
    ]


def program(name: str) -> str:
    """Where it is installed."""
    found = shutil.which(name)
    if found is None:
        raise MissingProgram(f"{name} is not installed: apt-get install redis-server")
    return found
