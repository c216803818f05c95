"""`extauthz serve` and how it proves who it is: real connections, and secrets that change under it."""

from pathlib import Path
from typing import Any

import pytest

from extauthz.cli.processes import free_ports
from extauthz.resolver.client_auth import basic_header
from support.serving import Service, ask, loopback, wait_until, write_files
from support.stub_server import StubServer, active


@pytest.mark.shows("S64")
def test_a_secret_that_is_rotated_fails_no_request(tmp_path: Path) -> None:
    """The server takes the new secret from one moment to the next, and every request before and after passes."""
    secret = tmp_path / "secret"
    secret.write_text("old-c4n4ry\n")
    gateway, ops, port = free_ports(3)
    server: dict[str, Any] = {
        "introspection_endpoint": f"http://127.0.0.1:{port}/introspect",
        "client": {"id": "gateway", "secret": {"file": "secret"}},
        "cache": {"ttl": "0s"},
        "timeout": "10s",
    }
    config = write_files(tmp_path, loopback(gateway, ops), "", authorization_servers={"main": server})
    with StubServer({"reader": active}, port=port) as stub, Service(config).ready(ops) as service:
        stub.authorization = basic_header("gateway", "old-c4n4ry")
        assert ask(gateway) == 200
        new = tmp_path / "new"
        new.write_text("new-c4n4ry\n")
        new.replace(secret)
        stub.authorization = basic_header("gateway", "new-c4n4ry")
        assert [ask(gateway) for _ in range(3)] == [200] * 3
        wait_until(lambda: "secret_reloaded" in service.stderr)
        assert "c4n4ry" not in service.stderr
