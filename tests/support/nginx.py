"""A real NGINX with gateway/nginx.conf, as it ships, with its edge cache, or with something wrong in it."""

import re
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from os import kill
from pathlib import Path
from tempfile import TemporaryDirectory

from extauthz.cli.processes import Process, free_ports, nginx_command
from support.gateways import patient
from support.http1 import Answer, Lines, exchange
from support.serving import records, wait_until

HOST = "api.example.com"
SECRET_FILE = "extauthz-edge.secret"

Change = tuple[str, str]
"""A piece of the file that is there once or more, and what stands in its place."""

Changes = Iterable[Change] | Callable[[Path], Iterable[Change]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A running NGINX: its file, its folder for the edge cache, and where it listens."""

    config: Path
    cache: Path
    port: int
    process: Process

    @property
    def url(self) -> str:
        """Where clients go."""
        return f"http://127.0.0.1:{self.port}"

    def ask(
        self, target: str, token: str = "", *, method: str = "GET", host: str = HOST, headers: Iterable[Change] = ()
    ) -> tuple[int, Answer, bytes]:
        """One request of a client."""
        lines: Lines = [("Host", host), *([("Authorization", f"Bearer {token}")] if token else []), *headers]
        return exchange(self.port, method, target, lines)

    def status(self, target: str, token: str = "", *, method: str = "GET", host: str = HOST) -> int:
        """The status of one request."""
        return self.ask(target, token, method=method, host=host)[0]

    def log(self, path: str) -> list[str]:
        """For each request of a path so far, what the edge cache had to do with it. A line is written after its answer."""
        return [line["edge"] for line in records(self.config.parent / "access.log") if line["path"] == path]

    def kept(self) -> str:
        """All keys in the edge cache, expired ones too."""
        files = (path.read_bytes() for path in self.cache.rglob("*") if path.is_file())
        return "\n".join(line.decode() for file in files for line in re.findall(rb"\nKEY: (.*)\n", file))

    def reload(self) -> None:
        """Read the file again; returns once nobody is left who knows the old one."""
        before = self._workers()
        kill(self.process.pid, signal.SIGHUP)
        wait_until(lambda: not before & self._workers())

    def _workers(self) -> set[str]:
        pid = self.process.pid
        return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def with_edge_cache(text: str, folder: str = "edge") -> str:
    """The shipped file with its lines for the edge cache in effect, as its head says, and a folder below the prefix."""
    return re.sub(r"(?m)^( *)#E ", r"\1", text).replace("/run/extauthz-edge", folder)


def write_secret(folder: Path, secret: str) -> None:
    """The file that the lines for the edge cache include."""
    file = folder / SECRET_FILE
    file.touch(mode=0o600)
    file.write_text(f'set $authz_secret "{secret}";\n')


def changed(text: str, changes: Iterable[Change]) -> str:
    """The text with each piece replaced, which has to be there."""
    for old, new in changes:
        assert old in text, f"gateway/nginx.conf has no {old!r}"
        text = text.replace(old, new)
    return text


@contextmanager
def nginx(*, authorizer: int, app: int, edge_cache: bool = False, changes: Changes = ()) -> Iterator[Site]:
    """Start it in front of an application, and stop it.

    Its folder is one that NGINX's workers can get at below, whoever they are. Changes that need files beside the
    configuration come as a function of that folder.
    """
    with TemporaryDirectory(prefix="extauthz-nginx-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        (port,) = free_ports(1)
        text = patient("nginx.conf", {10001: port, 10002: app, 9191: authorizer})
        if edge_cache:
            text = with_edge_cache(text)
            write_secret(folder, "c2VjcmV0IG9mIHRoaXMgdGVzdA")
        config = folder / "nginx.conf"
        config.write_text(changed(text, changes(folder) if callable(changes) else changes))
        with Process("NGINX", nginx_command(config, folder), log=folder / "log") as process:
            process.wait_for_port(port)
            yield Site(config=config, cache=folder / "edge", port=port, process=process)
