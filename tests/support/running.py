"""extauthz as a real process, with its two files in a folder of its own."""

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypedDict, TypeVar, Unpack

import cases
from extauthz.cli.processes import Process, free_ports
from support.stub_server import ISSUER, SECRET


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A running extauthz and where it listens."""

    process: Process
    gateway: int
    ops: int
    grpc: int
    folder: Path


class Files(TypedDict, total=False):
    """What the two files can say otherwise.

    Attributes:
        timeout: patience with the authorization server; more than a busy machine needs, unless told.
        extra: a line of extauthz.yaml.
        stranger: where another authorization server answers, to be known under that name.
        ports: to listen on (gateway, ops, grpc) instead of free ones.
    """

    grpc_server: str
    policy: str
    drain_delay: str
    cache: str
    timeout: str
    extra: str
    stranger: str
    ports: tuple[int, int, int]


def write_files(folder: Path, *, introspection: str, **files: Unpack[Files]) -> tuple[int, int, int]:
    """Write extauthz.yaml and policy.yaml; returns the ports (gateway, ops, grpc)."""
    grpc_server, timeout = files.get("grpc_server", "h2corn"), files.get("timeout", "10s")
    gateway, ops, own = files["ports"] if "ports" in files else free_ports(3)
    with_grpcio = grpc_server == "grpcio"
    listen = f'gateway: "127.0.0.1:{gateway}", ops: "127.0.0.1:{ops}"'
    if with_grpcio:
        listen += f', grpc: "127.0.0.1:{own}"'
    text = f"""
listen: {{{listen}}}
grpc_server: {grpc_server}
policy: policy.yaml
dialects: [nginx, forward-auth, envoy, gateway-api]
drain_delay: {files.get("drain_delay", "0s")}
{files.get("extra", "")}
authorization_servers:
  main:
    issuer: {ISSUER}
    introspection_endpoint: {introspection}
    client: {{id: gateway, secret: {{env: EXTAUTHZ_CLIENT_SECRET}}}}
    timeout: {timeout}
    circuit: {{failures: 10_000, window: 10_000}}  # the table of cases is one long outage
    cache: {files.get("cache", "{ttl: 60s, negative_ttl: 10s}")}
{_another_server(files.get("stranger", ""), timeout)}
audit: {{path: "{folder / "audit.jsonl"}"}}
"""
    (folder / "extauthz.yaml").write_text(text)
    policy = files.get("policy", cases.POLICY)
    (folder / "policy.yaml").write_text(policy)
    for included in cases.included(policy):
        shutil.copytree(included, folder / included.name, dirs_exist_ok=True)
    return gateway, ops, own if with_grpcio else gateway


def _another_server(introspection: str, timeout: str) -> str:
    client = "{id: gateway, secret: {env: EXTAUTHZ_CLIENT_SECRET}}"
    members = f"{{introspection_endpoint: {introspection}, client: {client}, timeout: {timeout}}}"
    return f"  stranger: {members}" if introspection else ""


@contextmanager
def running(folder: Path, *, introspection: str, **files: Unpack[Files]) -> Iterator[Running]:
    """Start it, wait until it is ready, stop it."""
    gateway, ops, grpc = write_files(folder, introspection=introspection, **files)
    command = [sys.executable, "-m", "extauthz", "serve", "--config", str(folder / "extauthz.yaml")]
    environment = {"EXTAUTHZ_CLIENT_SECRET": SECRET}
    with Process("extauthz", command, log=folder / "extauthz.log", env=environment) as process:
        process.wait_for_http(f"http://127.0.0.1:{ops}/readyz")
        yield Running(process=process, gateway=gateway, ops=ops, grpc=grpc, folder=folder)


T = TypeVar("T")


class PerPolicy(Generic[T]):
    """What runs for one policy at a time: what ran for another is stopped first. A context manager."""

    def __init__(self, start: Callable[[str], AbstractContextManager[T]]) -> None:
        self._start = start
        self._stack = ExitStack()
        self._running: tuple[str, T] | None = None

    def __enter__(self) -> Self:
        """Start nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop what runs."""
        self._stack.close()

    def of(self, policy: str) -> T:
        """What runs for the policy of that name in tests/vectors/policies."""
        if self._running is None or self._running[0] != policy:
            self._stack.close()
            self._running = policy, self._stack.enter_context(self._start(cases.policy_text(policy)))
        return self._running[1]
