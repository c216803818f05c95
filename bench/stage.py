"""Everything that a run needs, started once: floors, authorizers, gateways and what stands behind them."""

import contextlib
import os
import random
import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import files
from bench.authorization_server import AuthorizationServer
from bench.questions import Questions
from bench.workload import policy, write_script
from extauthz.cli.processes import Process, envoy_command, nginx_command, port_in_use

_PORTS = range(24_000, 28_000)
"""Below the range from which Linux takes the local ports of outgoing connections."""

_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own in it
START_SECONDS = 20.0
"""How long a part may take until it answers as it should."""

_QUIET_SECONDS = 0.1
_QUIET_CPU_SECONDS = 0.01
_QUIET_AT_MOST_SECONDS = 3.0
_DECISIONS = re.compile(r'^extauthz_decisions_total\{.*outcome="(\w+)".*\} (\S+)$', re.MULTILINE)
_PSS = re.compile(r"(?m)^Pss:\s+(\d+) kB$")
_LOST = re.compile(r"^extauthz_audit_lost_total (\S+)$", re.MULTILINE)


class NotAsExpected(Exception):  # noqa: N818 - it says what is the matter
    """An answer is not what it must be: numbers taken now would mean nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One running program.

    Attributes:
        port: where it takes requests.
        ops: where extauthz tells its metrics; 0 for all others.
        gateway: whether clients send their own requests to it.
        workers: processes that take requests.
    """

    name: str
    process: Process
    port: int
    ops: int = 0
    gateway: bool = False
    workers: int = 1

    def cpu_seconds(self) -> float:
        """User and system time so far, of all its threads and of the processes that it started."""
        ticks = sum(int(fields[11]) + int(fields[12]) for _, fields in self._processes())
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory_mib(self) -> float:
        """Of all its processes; pages that are shared count once."""
        kib = 0
        for folder, _ in self._processes():
            with contextlib.suppress(OSError):  # it ended meanwhile
                found = _PSS.search((folder / "smaps_rollup").read_text(encoding="ascii"))
                kib += int(found[1]) if found is not None else 0
        return kib / 1024

    def threads(self) -> list[int]:
        """Of all its processes, as the system numbers them."""
        found = []
        for folder, _ in self._processes():
            with contextlib.suppress(OSError):  # it ended meanwhile
                found += [int(thread.name) for thread in (folder / "task").iterdir()]
        return found

    def _processes(self) -> Iterator[tuple[Path, list[str]]]:
        """Folder and fields of `stat` behind the name, of the process and all that descend from it."""
        family = {self.process.pid}
        for pid in sorted(int(folder.name) for folder in Path("/proc").glob("[0-9]*")):  # children come later
            with contextlib.suppress(OSError):  # it ended meanwhile
                folder = Path(f"/proc/{pid}")
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                if pid in family or int(fields[1]) in family:
                    family.add(pid)
                    yield folder, fields

    def decisions(self) -> "Decisions":
        """What extauthz has counted so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ops}/metrics", timeout=5) as answer:
            page = answer.read().decode()
        counts = {"allow": 0, "deny": 0}
        for outcome, count in _DECISIONS.findall(page):
            counts[outcome] += int(float(count))
        lost = _LOST.search(page)
        return Decisions(allowed=counts["allow"], denied=counts["deny"], unrecorded=int(float(lost[1])) if lost else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """Decisions of one extauthz; `unrecorded` are those that its audit log had to drop."""

    allowed: int
    denied: int
    unrecorded: int

    def __sub__(self, before: "Decisions") -> "Decisions":
        """Those since then."""
        return Decisions(
            allowed=self.allowed - before.allowed,
            denied=self.denied - before.denied,
            unrecorded=self.unrecorded - before.unrecorded,
        )


class Stage:
    """All parts by name. Made by `open_stage`, which also ends them.

    Attributes:
        questions: the walk through tokens and routes, for gRPC.
        many: how many tokens are many.
        folder: for files of this run; in memory if that can be.
    """

    def __init__(self, folder: Path, ends: contextlib.ExitStack, cast: "Cast", *, many: int) -> None:
        self.folder = folder
        self._ends = ends
        self._cast = cast
        self.many = many
        self._free = iter([port for port in random.sample(_PORTS, len(_PORTS)) if not port_in_use(port)])
        self._parts: dict[str, Part] = {}
        self._backends: tuple[int, str] | None = None
        self.questions = Questions()

    def __getitem__(self, name: str) -> Part:
        """The part of this name, which is started if it does not run yet."""
        if name not in self._parts:
            self._cast[name](self)
        return self._parts[name]

    @property
    def running(self) -> Mapping[str, Part]:
        """What was started so far."""
        return self._parts

    def script(self, way: str = "") -> Path:
        """The walk for wrk, asked in this way (`workload.WAYS`)."""
        file = self.folder / f"walk-{way}.lua"
        if not file.exists():
            write_script(file, way)
        return file

    def await_all(self) -> None:
        """Wait until every part takes requests."""
        for part in self._parts.values():
            part.process.wait_for_port(part.port, START_SECONDS)

    def settle(self, parts: Sequence[Part]) -> None:
        """Wait until these have no work left (the audit log is written behind the answers), and empty all logs."""
        end = time.monotonic() + _QUIET_AT_MOST_SECONDS
        before, now = -1.0, 0.0
        while now - before > _QUIET_CPU_SECONDS and time.monotonic() < end:
            time.sleep(_QUIET_SECONDS)
            before, now = now, sum(part.cpu_seconds() for part in parts)
        for log in self.folder.rglob("*.log"):
            os.truncate(log, 0)  # all are opened for appending

    def start_part(
        self, name: str, command: list[str], port: int, ops: int = 0, *, gateway: bool = False, workers: int = 1
    ) -> Part:
        log = self.folder / f"{name.replace(' ', '-')}.log"
        process = Process(name, command, log=log, cwd=files.ROOT)
        self._ends.enter_context(process)
        part = self._parts[name] = Part(
            name=name, process=process, port=port, ops=ops, gateway=gateway, workers=workers
        )
        return part

    def start_backends(self) -> tuple[int, str]:
        """Start an NGINX, if it does not run yet: the port of the application, the URL of the authorization server."""
        if self._backends is None:
            app, introspection, inner = self.ports(3)
            file = files.write_backends(
                self.folder / "backends.conf", app=app, introspection=introspection, inner=inner
            )
            self.start_part("backends", nginx_command(file, self.prefix("backends")), app)
            self._backends = app, f"http://127.0.0.1:{introspection}/introspect"
        return self._backends

    def start_server(self) -> AuthorizationServer:
        """Start an authorization server that takes its time and counts, if it does not run yet."""
        if "authorization server" not in self._parts:
            (port,) = self.ports(1)
            command = [sys.executable, "-m", "bench.authorization_server", str(port)]
            self.start_part("authorization server", command, port).process.wait_for_port(port, START_SECONDS)
        return AuthorizationServer(self["authorization server"].port)

    def start_redis(self) -> int:
        """Start a Redis that keeps nothing on disk, if it does not run yet; its port."""
        if "redis" in self._parts:
            return self._parts["redis"].port
        (port,) = self.ports(1)
        command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(self.folder)]
        self.start_part("redis", command, port).process.wait_for_port(port, START_SECONDS)
        return port

    def start_verdict(self) -> Part:
        """Start an NGINX that says yes."""
        (port,) = self.ports(1)
        file = files.write_verdict(self.folder / "verdict.conf", port=port)
        return self.start_part("return 200", nginx_command(file, self.prefix("verdict")), port)

    def start_floor(self, kind: str, name: str = "") -> Part:
        """Start one of `floors.py`."""
        (port,) = self.ports(1)
        return self.start_part(name or kind, [sys.executable, "-m", "bench.floors", kind, str(port)], port)

    def start_extauthz(
        self,
        name: str,
        introspection: str,
        *,
        grpcio: bool = False,
        rules: str = "",
        more: Mapping[str, object] | None = None,
    ) -> Part:
        """Start an extauthz that asks at this URL. `rules` is its policy, `more` what else stands in its other file."""
        gateway, ops, grpc = self.ports(3)
        file = files.write_extauthz(
            self.folder / name.replace(" ", "-"),
            introspection=introspection,
            gateway=gateway,
            ops=ops,
            grpc=grpc if grpcio else 0,
            policy=rules or policy(),
            more=more,
        )
        command = [sys.executable, "-m", "extauthz", "serve", "--config", str(file)]
        workers = (more or {}).get("workers", 1)
        assert isinstance(workers, int)
        return self.start_part(name, command, grpc if grpcio else gateway, ops, workers=workers)

    def write_policy(self, name: str, rules: str) -> None:
        """Give a running extauthz another policy file; it is not told."""
        files.write_policy(self.folder / name.replace(" ", "-"), rules)

    def start_envoy(self, name: str, authorizer: Part | None) -> Part:
        """Start an Envoy that asks this one, or nobody."""
        app, _ = self.start_backends()
        client, admin = self.ports(2)
        ports = {10000: client, 9901: admin, 9191: authorizer.port if authorizer is not None else 0, 10002: app}
        file = files.write_envoy(self.folder / f"{name.replace(' ', '-')}.yaml", ports, check=authorizer is not None)
        return self.start_part(name, envoy_command(file), client, gateway=True)

    def start_nginx(self, name: str, authorizer: Part, *, edge_cache: bool = False) -> Part:
        """Start an NGINX that asks this one."""
        app, _ = self.start_backends()
        (client,) = self.ports(1)
        ports = {10001: client, 9191: authorizer.port, 10002: app}
        file = files.write_nginx(self.folder / f"{name.replace(' ', '-')}.conf", ports, edge_cache=edge_cache)
        return self.start_part(name, nginx_command(file, self.prefix(name)), client, gateway=True)

    def prefix(self, name: str) -> Path:
        folder = self.folder / f"prefix-{name.replace(' ', '-')}"
        folder.mkdir()
        return folder

    def ports(self, count: int) -> list[int]:
        return [next(self._free) for _ in range(count)]


Cast = Mapping[str, Callable[[Stage], Part]]
"""Who can be started by name."""


@contextlib.contextmanager
def open_stage(cast: Cast | None = None, *, many: int = 100_000) -> Iterator[Stage]:
    """A stage in a temporary folder, not started yet. On the way out, everything is ended and removed.

    The folder is in memory where that can be had: no disk is measured here, and gateway/nginx.conf advises it for the
    edge cache.
    """
    with contextlib.ExitStack() as ends:
        memory = _MEMORY if _MEMORY.is_dir() else None
        folder = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="extauthz-bench-", dir=memory)))
        folder.chmod(0o711)  # started as root, NGINX works as nobody and has to get at its cache below
        yield Stage(folder, ends, cast or {}, many=many)
