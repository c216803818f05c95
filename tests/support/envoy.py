"""A real Envoy from gateway/envoy.yaml, for what the table of cases does not ask of it."""

import http.client
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from extauthz.cli.processes import Process, envoy_command, free_ports
from extauthz.cli.upstream import Upstream
from support.gateways import envoy_binary, patient
from support.serving import wait_until

LOG_EVERY_MILLISECONDS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningEnvoy:
    """Where it listens, the application behind it, and its access log."""

    port: int
    admin: int
    upstream: Upstream
    log: Path

    def counter(self, name: str) -> int:
        """One of its statistics."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.admin, timeout=30)) as connection:
            connection.request("GET", f"/stats?filter=^{name}$")
            return int(connection.getresponse().read().decode().rpartition(":")[2])

    def log_line(self, path: str) -> dict[str, object]:
        """The line of its access log about the only request of this path, once it is there: it writes them in batches."""
        wait_until(lambda: self._lines(path))
        (line,) = self._lines(path)
        return line

    def _lines(self, path: str) -> list[dict[str, object]]:
        whole = [json.loads(line) for line in self.log.read_text().split("\n")[:-1] if line.startswith("{")]
        return [line for line in whole if line["path"] == path]


@contextmanager
def running_envoy(
    folder: Path,
    authorizer: int,
    *,
    file: str = "envoy.yaml",
    ops: int = 9192,
    release: str = "newest",
    edit: dict[str, str] | None = None,
    healthy: int = 200,
) -> Iterator[RunningEnvoy]:
    """Start it with some text of its file replaced, before an upstream. `ops` matters where extauthz is asked over HTTP.

    It is ready when it has asked about /healthz, whose status is `healthy` then.
    """
    port, admin, upstream = free_ports(3)
    ports = {10000: port, 9901: admin, 10002: upstream, 9191: authorizer, 9192: ops}
    text = patient(file, ports)
    for old, new in (edit or {}).items():
        assert old in text
        text = text.replace(old, new)
    config, log = folder / "envoy.yaml", folder / "envoy.log"
    config.write_text(text)
    flush = ["--file-flush-interval-msec", str(LOG_EVERY_MILLISECONDS)]
    command = [envoy_binary(release), *envoy_command(config)[1:], *flush]
    with Upstream(upstream) as application, Process("envoy", command, log=log) as process:
        process.wait_for_http(f"http://127.0.0.1:{port}/healthz", healthy)
        yield RunningEnvoy(port=port, admin=admin, upstream=application, log=log)


@contextmanager
def envoy(
    folder: Path, authorizer: int, *, release: str = "newest", edit: dict[str, str] | None = None
) -> Iterator[int]:
    """The port of a running one."""
    with running_envoy(folder, authorizer, release=release, edit=edit) as started:
        yield started.port
