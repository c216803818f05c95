"""extauthz as a real process, with its two files in a folder of its own."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, Unpack

import cases
from extauthz.cli.processes import Process, free_ports
from support.stub_server import ISSUER

SECRET = "stub-secret"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A running extauthz and where it listens."""

    process: Process
    gateway: int
    ops: int
    grpc: int
    folder: Path


class Files(TypedDict, total=False):
    """What the two files can say otherwise; `extra` is a line of extauthz.yaml."""

    grpc_server: str
    policy: str
    drain_delay: str
    extra: str


def write_files(folder: Path, *, introspection: str, **files: Unpack[Files]) -> tuple[int, int, int]:
    """Write extauthz.yaml and policy.yaml; returns the ports (gateway, ops, grpc)."""
    grpc_server = files.get("grpc_server", "h2corn")
    gateway, ops, own = free_ports(3)
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
    timeout: 500ms
    circuit: {{failures: 10_000, window: 10_000}}  # the table of cases is one long outage
    cache: {{ttl: 60s, negative_ttl: 10s}}
audit: {{path: "{folder / "audit.jsonl"}"}}
"""
    (folder / "extauthz.yaml").write_text(text)
    (folder / "policy.yaml").write_text(files.get("policy", cases.POLICY))
    return gateway, ops, own if with_grpcio else gateway


@contextmanager
def running(folder: Path, *, introspection: str, **files: Unpack[Files]) -> Iterator[Running]:
    """Start it, wait until it is ready, stop it."""
    gateway, ops, grpc = write_files(folder, introspection=introspection, **files)
    command = [sys.executable, "-m", "extauthz", "serve", "--config", str(folder / "extauthz.yaml")]
    environment = {"EXTAUTHZ_CLIENT_SECRET": SECRET}
    with Process("extauthz", command, log=folder / "extauthz.log", env=environment) as process:
        process.wait_for_http(f"http://127.0.0.1:{ops}/readyz")
        yield Running(process=process, gateway=gateway, ops=ops, grpc=grpc, folder=folder)
