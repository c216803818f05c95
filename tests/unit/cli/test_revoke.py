"""`extauthz revoke`: what is asked of the service, and what is refused before."""

import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result

from extauthz.cli import main
from extauthz.cli.processes import free_ports

SECRET = "a-secret-of-the-operator"


class Ops(HTTPServer):
    """An ops listener that remembers what it was told."""

    def __init__(self, status: int = 200) -> None:
        (port,) = free_ports(1)
        super().__init__(("127.0.0.1", port), _Handler)
        self.status = status
        self.requests: list[tuple[str, str, Any]] = []


class UnixOps(Ops):
    """The same on a socket file."""

    address_family = socket.AF_UNIX

    def __init__(self, path: Path) -> None:
        HTTPServer.__init__(self, str(path), _Handler)  # type: ignore[arg-type] # a path is the address of such a socket
        self.status = 200
        self.requests = []

    def server_bind(self) -> None:
        """Without looking for the name of a host."""
        self.socket.bind(self.server_address)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Clients have no address."""
        return self.socket.accept()[0], ("", 0)


class _Handler(BaseHTTPRequestHandler):
    server: Ops

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append((self.path, self.headers["authorization"], body))
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(f"said {self.server.status}\n".encode())

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def ops() -> Iterator[Ops]:
    with Ops() as server:
        yield from running(server)


def running(server: Ops) -> Iterator[Ops]:
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()


def config(folder: Path, ops: str, *, token: bool = True) -> Path:
    (folder / "token").write_text(SECRET + "\n")
    (folder / "policy.yaml").write_text("version: 1\nroutes: [{name: a, path: /a, scopes: []}]\n")
    (folder / "secret").write_text("s")
    path = folder / "extauthz.yaml"
    path.write_text(
        f"listen: {{gateway: '127.0.0.1:9191', ops: '{ops}'}}\npolicy: policy.yaml\nauthorization_servers:\n"
        "  main: {introspection_endpoint: https://as.example.com/i, client: {id: g, secret: {file: secret}}}\n"
        + ("ops: {token: {file: token}}\n" if token else "")
    )
    return path


def revoke(path: Path, *arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(main, ["revoke", "--config", str(path), *arguments], input=given)


def test_everything_that_is_named_is_asked_for_at_once(tmp_path: Path, ops: Ops) -> None:
    """With the secret; tokens come from files, without the end of their line."""
    (tmp_path / "t1").write_text("token-1\n")
    path = config(tmp_path, f"127.0.0.1:{ops.server_port}")
    names = ["--sub", "u1", "--sub", "u2", "--jti", "j", "--client-id", "app"]
    done = revoke(path, "--token-file", str(tmp_path / "t1"), "--token-file", "-", *names, given="token-2\r\n")
    assert (done.exit_code, done.output) == (0, "said 200\n")
    expected = {"token": ["token-1", "token-2"], "sub": ["u1", "u2"], "jti": ["j"], "client_id": ["app"]}
    assert ops.requests == [("/revoke", f"Bearer {SECRET}", expected)]


def test_everything_is_one_word(tmp_path: Path, ops: Ops) -> None:
    """And nothing else then."""
    assert revoke(config(tmp_path, f"0.0.0.0:{ops.server_port}"), "--all").exit_code == 0
    assert [body for _, _, body in ops.requests] == [{"all": True}]


def test_a_listener_on_a_socket_file_is_found(tmp_path: Path) -> None:
    """As the file has it."""
    path = config(tmp_path, f"unix:{tmp_path}/ops.sock")
    with UnixOps(tmp_path / "ops.sock") as server:
        for _ in running(server):
            assert revoke(path, "--all").exit_code == 0
            assert len(server.requests) == 1


@pytest.mark.parametrize("status", [401, 403, 503])
def test_what_was_not_done_everywhere_is_a_failure(tmp_path: Path, ops: Ops, status: int) -> None:
    """A script must notice."""
    ops.status = status
    done = revoke(config(tmp_path, f"127.0.0.1:{ops.server_port}"), "--all")
    assert (done.exit_code, done.stdout, done.stderr) == (1, "", f"said {status}\n")


def test_a_service_that_does_not_run_is_a_failure_too(tmp_path: Path) -> None:
    """It is named."""
    (port,) = free_ports(1)
    done = revoke(config(tmp_path, f"127.0.0.1:{port}"), "--all")
    assert done.exit_code == 1
    assert f"no answer at 127.0.0.1:{port}" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "name what to forget"),
        (("--token-file", "missing"), "No such file"),
        (("--sub",), "requires an argument"),
        (("--token", "t"), "No such option"),
    ],
)
def test_a_mistake_on_the_command_line_asks_for_nothing(
    tmp_path: Path, ops: Ops, arguments: tuple[str, ...], words: str
) -> None:
    """It is named."""
    done = revoke(config(tmp_path, f"127.0.0.1:{ops.server_port}"), *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert ops.requests == []


def test_without_a_token_in_the_file_nobody_may(tmp_path: Path, ops: Ops) -> None:
    """The message says what to write."""
    done = revoke(config(tmp_path, f"127.0.0.1:{ops.server_port}", token=False), "--all")
    assert done.exit_code == 2
    assert "ops: {token: …}" in done.stderr


def test_what_is_wrong_elsewhere_in_the_files_does_not_matter(tmp_path: Path, ops: Ops) -> None:
    """Somebody may be editing the policy just then, and the client's secret may be out of reach for whoever revokes."""
    path = config(tmp_path, f"127.0.0.1:{ops.server_port}")
    (tmp_path / "policy.yaml").write_text("nonsense")
    (tmp_path / "secret").unlink()
    assert revoke(path, "--all").exit_code == 0


def test_what_is_wrong_with_the_token_does(tmp_path: Path, ops: Ops) -> None:
    """The fault is the one that `check` would tell."""
    path = config(tmp_path, f"127.0.0.1:{ops.server_port}")
    (tmp_path / "token").unlink()
    done = revoke(path, "--all")
    assert (done.exit_code, "this file does not exist" in done.stderr) == (2, True)
    path.write_text("nonsense: true")
    assert revoke(path, "--all").exit_code == 2
