"""Several real Redis servers that belong together: a master with a replica and a sentinel, and a cluster of three."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import redis

from extauthz.cli.processes import Process, free_ports
from support.redis_server import LOOPBACK, RedisServer, client, program
from support.serving import wait_until

MASTER_NAME = "main"
SLOTS = 16_384
NODES = 3

_SYNC_AT_ONCE = ("--repl-diskless-sync-delay", "0")
_NEVER_MILLISECONDS = 600_000
"""A sentinel of a busy machine must not take a master that stands still for a dead one: it is told when to act."""

_READY_SECONDS = 90.0
"""A sentinel that stood still itself does nothing for half a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentinel:
    """A sentinel that watches two servers, one the replica of the other.

    Attributes:
        port: where clients ask it for the master called `MASTER_NAME`.
        first: the master at the beginning.
        second: its replica then.
        process: the sentinel itself.
    """

    port: int
    first: RedisServer
    second: RedisServer
    process: Process

    @property
    def master(self) -> RedisServer:
        """The server that the sentinel names now."""
        port = int(self.ask("GET-MASTER-ADDR-BY-NAME")[1])
        return self.first if port == self.first.port else self.second

    def ask(self, command: str) -> Any:  # noqa: ANN401 - what it answers depends on the command
        """One SENTINEL command about the master."""
        with client(port=self.port) as connection:
            return connection.execute_command("SENTINEL", command, MASTER_NAME)  # type: ignore[no-untyped-call] # as the library has it

    def fail_over(self) -> None:
        """Kill the master, and wait until the replica has taken its place."""
        old = self.master
        new = self.second if old is self.first else self.first
        old.kill()
        wait_until(self._is_under_way, _READY_SECONDS)
        wait_until(lambda: self.master is new and new.command("ROLE")[0] == "master", _READY_SECONDS)

    def _is_under_way(self) -> bool:
        """Whether the sentinel has agreed to it: it does once it knows the replica well enough."""
        try:
            return bool(self.ask("FAILOVER"))
        except redis.ResponseError as refused:
            return "INPROG" in str(refused)


@contextmanager
def sentinel(folder: Path) -> Iterator[Sentinel]:
    """Start the three and wait until each knows the others."""
    (port,) = free_ports(1)
    with ExitStack() as stack:
        first = stack.enter_context(RedisServer(folder, name="first", options=_SYNC_AT_ONCE))
        replica = (*_SYNC_AT_ONCE, "--replicaof", LOOPBACK, str(first.port))
        second = stack.enter_context(RedisServer(folder, name="second", options=replica))
        wait_until(lambda: second.command("ROLE")[3] == "connected", _READY_SECONDS)
        process = stack.enter_context(sentinel_process(folder, port, first.port))
        process.wait_for_port(port)
        watched = Sentinel(port=port, first=first, second=second, process=process)
        wait_until(lambda: len(watched.ask("REPLICAS")) == 1, _READY_SECONDS)
        yield watched


def sentinel_process(folder: Path, port: int, master: int) -> Process:
    """A sentinel keeps what it learns in its configuration file."""
    config = folder / "sentinel.conf"
    lines = [
        f"bind {LOOPBACK}",
        f"port {port}",
        f"dir {folder}",
        f"sentinel monitor {MASTER_NAME} {LOOPBACK} {master} 1",
        f"sentinel down-after-milliseconds {MASTER_NAME} {_NEVER_MILLISECONDS}",
        f"sentinel failover-timeout {MASTER_NAME} {_NEVER_MILLISECONDS}",
    ]
    config.write_text("\n".join(lines) + "\n")
    command = [program("redis-server"), str(config), "--sentinel"]
    return Process("sentinel", command, log=folder / "sentinel.log")


@contextmanager
def cluster(folder: Path) -> Iterator[list[RedisServer]]:
    """Start three masters that share the slots evenly, and wait until all say that the cluster is well."""
    ports = free_ports(NODES)
    with ExitStack() as stack:
        nodes = [stack.enter_context(_node(folder, number, bus)) for number, bus in enumerate(ports)]
        _share_slots(nodes)
        for node, (other, bus) in product(nodes, zip(nodes, ports, strict=True)):
            if node is not other:  # each meets each: hearing of one another by gossip takes seconds
                node.command("CLUSTER", "MEET", LOOPBACK, other.port, bus)
        wait_until(lambda: all(map(_is_well, nodes)), _READY_SECONDS)
        yield nodes


def _node(folder: Path, number: int, bus: int) -> RedisServer:
    name = f"node{number}"
    options = ["--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-config-file", f"{name}.conf"]
    return RedisServer(folder, name=name, options=options)


def _share_slots(nodes: list[RedisServer]) -> None:
    bounds = [SLOTS * number // len(nodes) for number in range(len(nodes) + 1)]
    for number, (node, (start, end)) in enumerate(zip(nodes, pairwise(bounds), strict=True), start=1):
        node.command("CLUSTER", "SET-CONFIG-EPOCH", number)
        node.command("CLUSTER", "ADDSLOTSRANGE", start, end - 1)


def _is_well(node: RedisServer) -> bool:
    said = node.command("CLUSTER", "INFO")
    return "cluster_state:ok" in said and f"cluster_known_nodes:{NODES}" in said
