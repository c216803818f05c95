"""What is only tried out, in the real program: a shadow route, a candidate policy, and routes of an included file."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cases import ANSWERS
from extauthz.cli.processes import free_ports
from support.serving import Service, get, loopback, metadata, records, wait_until, write_files
from support.stub_server import StubServer

POLICY = """\
version: 1
include: [parts/*.yaml]
defaults: {audience: https://api.example.com}
routes:
  - {name: orders, path: /orders, scopes: [orders:read]}
"""
SHADOW = "version: 1\nroutes: [{name: tried, path: /tried, scopes: [admin], shadow: true}]\n"
CANDIDATE = POLICY.replace("include: [parts/*.yaml]\n", "").replace("[orders:read]", "[orders:write]")


class Tried:
    """A running service, and what it wrote down."""

    def __init__(self, service: Service, config: Path, gateway: int, ops: int) -> None:
        self.service = service
        self.config = config
        self.gateway = gateway
        self.ops = ops

    def ask(self, path: str, token: str = "reader") -> tuple[int, str | None, str]:
        """Status, reason and subject, as NGINX is told; an empty subject takes the header away."""
        answer = get(self.gateway, "/nginx", [*metadata(path), ("Authorization", f"Bearer {token}")])
        told = {name.lower(): value for name, value in answer.headers}
        return answer.status, told.get("x-authz-reason"), told.get("x-auth-sub", "")

    def audited(self) -> list[dict[str, object]]:
        """The lines of the record."""
        return records(self.config.with_name("audit.jsonl"))

    def counted(self, line: str) -> bool:
        """Whether the metrics have this line."""
        return line in get(self.ops, "/metrics").text


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tried]:
    gateway, ops = free_ports(2)
    folder = tmp_path_factory.mktemp("tryout")
    (folder / "parts").mkdir()
    (folder / "parts" / "tried.yaml").write_text(SHADOW)
    (folder / "candidate.yaml").write_text(CANDIDATE)
    with StubServer(ANSWERS) as stub:
        config = write_files(folder, loopback(gateway, ops), stub.url, policy=POLICY, candidate="candidate.yaml")
        with Service(config).ready(ops) as service:
            yield Tried(service, config, gateway, ops)


def test_a_shadow_route_lets_pass_and_tells_the_true_reason(tried: Tried) -> None:
    """In the record and in the metrics; whoever it would let pass passes with identity."""
    assert tried.ask("/tried") == (200, "shadow", "")
    assert tried.ask("/tried", "admin") == (200, "allowed", "root")
    wait_until(lambda: any(line.get("shadow") == "insufficient_scope" for line in tried.audited()))
    wait_until(lambda: tried.counted('extauthz_shadowed_total{reason="insufficient_scope",rule="tried"} 1.0'))


def test_a_candidate_tells_what_it_would_do_and_is_read_again(tried: Tried) -> None:
    """The answer is that of the policy in force, before and after SIGHUP."""
    assert tried.ask("/orders") == (200, "allowed", "u1")
    closed = {"kind": "closed", "outcome": "deny", "reason": "insufficient_scope", "rule": "orders"}
    wait_until(lambda: any(line.get("candidate") == closed for line in tried.audited()))
    wait_until(lambda: tried.counted('extauthz_candidate_contrasts_total{kind="closed",rule="orders"} 1.0'))
    tried.config.with_name("candidate.yaml").write_text(CANDIDATE.replace("path: /orders", "path: /moved"))
    tried.service.send(signal.SIGHUP)
    wait_until(lambda: "generation 2" in tried.service.stderr)
    assert tried.ask("/orders") == (200, "allowed", "u1")
    wait_until(lambda: any(_reason(line) == "no_route" for line in tried.audited()))


def _reason(line: dict[str, object]) -> object:
    candidate = line.get("candidate")
    return candidate.get("reason") if isinstance(candidate, dict) else None
