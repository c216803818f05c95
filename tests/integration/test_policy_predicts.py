"""What `policy diff --replay` says beforehand is what a reload then changes: each request, and no other."""

import json
import signal
from collections import Counter
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path

import pytest
from click.testing import CliRunner

from extauthz.cli.policy import policy
from extauthz.cli.processes import free_ports
from support.serving import Service, get, loopback, records, wait_until, write_files
from support.stub_server import Reply, StubServer, active

HEAD = "version: 1\ndefaults: {authorization_server: main, audience: https://api.example.com}\nroutes:\n"
OLD = f"""{HEAD}
  - {{name: orders, methods: [GET], path: /orders, scopes: [orders:read]}}
  - {{name: order, methods: [GET], path: "/orders/{{id}}", scopes: [orders:read]}}
  - {{name: reports, path: /reports/**, scopes: {{any_of: [[reports], [admin]]}}}}
  - {{name: health, path: /healthz, allow: anonymous}}
  - {{name: me, path: /me, scopes: []}}
"""
NEW = f"""{HEAD}
  - {{name: orders, methods: [GET], path: /orders, scopes: [orders:read]}}
  - {{name: order, methods: [GET], path: "/orders/{{id}}", where: {{id: "[0-9]+"}}, scopes: [orders:read]}}
  - {{name: reports, path: /reports/**, scopes: [admin]}}
  - {{name: health, path: /healthz, scopes: []}}
  - {{name: mine, path: /me, scopes: [], clients: [shop]}}
  - {{name: drafts, path: /drafts, scopes: [orders:read]}}
"""
TOKENS = {
    "reader": active(scope="orders:read", sub="ann", client_id="shop"),
    "reporter": active(scope="reports", sub="bob", client_id="desk"),
    "admin": active(scope="admin orders:read", sub="cat", client_id="desk"),
}
PATHS = {
    "/orders": "/orders",
    "/orders/7": "/orders/{id}",
    "/orders/x": "/orders/{id}",
    "/reports/a/b": "/reports/**",
    "/healthz": "/healthz",
    "/me": "/me",
    "/drafts": "/drafts",
    "/a/../b": "/a/../b",
}
"""What is asked for, and what the command calls it: the old route, if there was one."""

UNKNOWN = {"/healthz", "/drafts"}
"""Where the new policy looks at the token and the old one did not."""


def _the(reply: Reply) -> Reply:
    return reply


@pytest.fixture(scope="module")
def ports() -> Iterator[tuple[int, int, str]]:
    gateway, ops, stub = free_ports(3)
    with StubServer({token: partial(_the, reply) for token, reply in TOKENS.items()}, port=stub) as server:
        yield gateway, ops, server.url


def outcome(gateway: int, path: str, token: str) -> str:
    """How it ends for the client: status, reason, challenge, and what the application learns."""
    headers = [("X-Original-Method", "GET"), ("X-Original-URI", path), ("X-Original-Host", "api.example.com")]
    if token:
        headers.append(("Authorization", f"Bearer {token}"))
    answer = get(gateway, "/nginx", headers)
    said = {name.lower(): value for name, value in answer.headers}
    told = ("x-authz-status", "x-authz-reason", "x-authz-challenge", "www-authenticate", "x-auth-sub")
    return " ".join(said.get(name, "-") for name in told)


def test_the_difference_that_was_told_is_the_one_that_comes(tmp_path: Path, ports: tuple[int, int, str]) -> None:
    """With every token and without one, on routes that stay, close, are renamed, or are new."""
    gateway, ops, introspection = ports
    config = write_files(tmp_path, loopback(gateway, ops), introspection, policy=OLD, reload={"watch": False})
    asked = list(product(PATHS, ("", *TOKENS)))
    with Service(config).ready(ops) as service:
        before = {each: outcome(gateway, *each) for each in asked}
        record = tmp_path / "audit.jsonl"
        wait_until(lambda: len(records(record)) == len(asked))
        predicted = _predicted(tmp_path, record)
        (tmp_path / "policy.yaml").write_text(NEW)
        service.send(signal.SIGHUP)
        wait_until(lambda: "generation 2" in service.stderr)
        after = {each: outcome(gateway, *each) for each in asked}
    changed = Counter(PATHS[path] for (path, token), ending in before.items() if ending != after[path, token])
    assert changed.keys() == predicted.keys()
    assert {place: predicted[place] for place in predicted if place not in UNKNOWN} == {
        place: changed[place] for place in changed if place not in UNKNOWN
    }
    assert all(predicted[place] == len(TOKENS) + 1 for place in UNKNOWN)


def _predicted(folder: Path, record: Path) -> Counter[str]:
    """How many of the recorded requests would end otherwise, by the place that the command names."""
    (folder / "new.yaml").write_text(NEW)
    files = (str(folder / "policy.yaml"), str(folder / "new.yaml"))
    run = CliRunner().invoke(policy, ("diff", *files, "--replay", str(record), "--json"))
    assert run.exit_code == 1, run.output
    told: Counter[str] = Counter()
    for change in json.loads(run.output)["changes"]:
        (place,) = change["places"]
        path = "/" + place.partition("/")[2]
        assert (change["kind"] == "unknown") is (path in UNKNOWN)
        told[path] += change["count"]
    return told
