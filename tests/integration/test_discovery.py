"""`extauthz serve` that is told an issuer and nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from extauthz.cli.processes import free_ports
from support.serving import Service, ask, get, loopback, status, wait_until, write_files
from support.stub_server import Reply, StubServer, active

OAUTH = "/.well-known/oauth-authorization-server"


class Bench:
    """A server that may say where it is asked, and whoever wants to know."""

    def __init__(self, folder: Path) -> None:
        self.gateway, self.ops, port = free_ports(3)
        self.issuer = f"http://127.0.0.1:{port}"
        self.stub = StubServer({"reader": lambda: active(iss=self.issuer)}, port=port)
        server: dict[str, Any] = {
            "issuer": self.issuer,
            "discovery": True,
            "client": {"id": "gateway", "secret": {"env": "EXTAUTHZ_CLIENT_SECRET"}},
            "timeout": "10s",
        }
        self.config = write_files(folder, loopback(self.gateway, self.ops), "", authorization_servers={"main": server})

    def publish(self) -> None:
        members = {"issuer": self.issuer, "introspection_endpoint": f"{self.issuer}/introspect", "jwks_uri": None}
        self.stub.documents[OAUTH] = lambda: Reply(body=json.dumps(members).encode())


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    with bench.stub:
        yield bench


@pytest.mark.shows("S65")
def test_an_issuer_is_enough(bench: Bench) -> None:
    """Ready means that the endpoint is known."""
    bench.publish()
    with Service(bench.config).ready(bench.ops):
        assert ask(bench.gateway) == 200


@pytest.mark.shows("S65")
def test_metadata_that_comes_late_is_taken_without_a_restart(bench: Bench) -> None:
    """Until then nobody sends requests here, and one that comes all the same is an outage and no denial."""
    with Service(bench.config) as service:
        wait_until(lambda: "discovery_failed" in service.stderr and status(bench.ops, "/readyz") == 503)
        assert "no authorization server is known yet" in get(bench.ops, "/readyz").text
        headers = [("X-Original-Method", "GET"), ("X-Original-URI", "/orders"), ("X-Original-Host", "api.example.com")]
        answer = get(bench.gateway, "/nginx", [*headers, ("Authorization", "Bearer reader")])
        assert dict(answer.headers)["x-authz-reason"] == "server_unreachable"
        bench.publish()
        wait_until(lambda: status(bench.ops, "/readyz") == 200)
        assert ask(bench.gateway) == 200
