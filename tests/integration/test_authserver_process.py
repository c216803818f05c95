"""The authorization server as a real process, used by its command line and over HTTP."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from extauthz.authserver.client_auth import hash_secret
from extauthz.cli.authserver import client
from extauthz.cli.processes import free_ports
from support.own_server import ROUNDS
from support.serving import status, wait_until

API = "https://api.example.com"
START_SECONDS = 60.0
STOP_SECONDS = 40.0


def command(group: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "extauthz", group, *arguments]


def run(group: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(group, *arguments), capture_output=True, text=True, timeout=90, check=False)


def output(group: str, *arguments: str) -> str:
    """Return the one line that a command prints on success."""
    done = run(group, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    (line,) = done.stdout.splitlines()
    return line


def registered(name: str, *arguments: str) -> tuple[str, str]:
    """Add a client, by the command but in this process; its name and secret."""
    with pytest.MonkeyPatch.context() as patch:  # the cost of a hash is not what is tested
        patch.setattr(hash_secret, "__kwdefaults__", {"rounds": ROUNDS})
        done = CliRunner().invoke(client, ("add", name, *arguments))
    assert (done.exit_code, done.stderr) == (0, "")
    return name, done.stdout.strip()


@contextmanager
def serving(store: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    (port,) = free_ports(1)
    base = f"127.0.0.1:{port}"
    arguments = command("authserver", "serve", "--listen", base, "--issuer", f"http://{base}", "--store", store)
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            with httpx.Client(base_url=f"http://{base}", trust_env=False, timeout=60) as http:
                wait_until(lambda: process.poll() is not None or status(port, "/livez") == 200, START_SECONDS)
                assert process.poll() is None, "the server ended before it served"
                yield process, http
        finally:
            process.kill()


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'as.db'}"


def test_token_lives_and_dies_across_processes(store: str) -> None:
    """A token from the command line is active at the running server until its client revokes it there."""
    gateway = registered("gateway", "--store", store, "--can-introspect", "--audience", API)
    app = registered("app", "--store", store, "--audience", API, "--scope", "a b")
    with serving(store) as (_, http):
        issued = ("--client", "app", "--sub", "u1", "--scope", "a b", "--audience", API, "--ttl", "5m")
        refresh = output("token", "issue", "--store", store, *issued, "--refresh", "--claim", 'acr="urn:mfa"')
        own = http.post("/oauth2/introspect", data={"token": refresh}, auth=app).json()
        assert (own["active"], own["token_use"], own["acr"]) == (True, "refresh_token", "urn:mfa")
        assert http.post("/oauth2/introspect", data={"token": refresh}, auth=gateway).json() == {"active": False}
        token = output("token", "issue", "--store", store, *issued)
        meaning = http.post("/oauth2/introspect", data={"token": token}, auth=gateway).json()
        assert (meaning["active"], meaning["sub"], meaning["scope"]) == (True, "u1", "a b")
        assert meaning["exp"] - meaning["iat"] == 300
        assert meaning["iss"] == str(http.base_url).rstrip("/")
        assert http.post("/oauth2/revoke", data={"token": token}, auth=app).status_code == 200
        answer = http.post("/oauth2/introspect", data={"token": token}, auth=gateway)
        assert answer.content == b'{"active":false}'


def test_revocation_outlives_a_kill(store: str) -> None:
    """A token from the token endpoint that was revoked stays revoked after the server is killed and started again."""
    app = registered("app", "--store", store, "--scope", "a")
    with serving(store) as (process, http):
        granted = http.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=app).json()
        token = granted["access_token"]
        assert http.post("/oauth2/introspect", data={"token": token}, auth=app).json()["active"] is True
        assert http.post("/oauth2/revoke", data={"token": token}, auth=app).status_code == 200
        process.kill()
    with serving(store) as (_, http):
        assert http.post("/oauth2/introspect", data={"token": token}, auth=app).json() == {"active": False}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_server_stops_in_order_when_asked(store: str, tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM and SIGINT end the server with success and a closed database."""
    with serving(store) as (process, _):
        process.send_signal(number)
        assert process.wait(STOP_SECONDS) == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["as.db"]


def test_secret_from_a_file_is_used_and_not_printed(store: str, tmp_path: Path) -> None:
    """The secret in a file counts without its newline, and nothing is printed."""
    secret = tmp_path / "secret"
    secret.write_text("p@ss:w+rd é\n", encoding="utf-8")
    done = run("client", "add", "app", "--store", store, "--secret-file", str(secret))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with serving(store) as (_, http):
        data = {"token": "x", "client_id": "app", "client_secret": "p@ss:w+rd é"}
        assert http.post("/oauth2/introspect", data=data).json() == {"active": False}


def test_the_log_of_the_supervisor_is_apart_from_the_record(tmp_path: Path) -> None:
    """On standard error: standard output has JSON lines alone, where `audit` says so."""
    (port,) = free_ports(1)
    config, log = tmp_path / "authserver.yaml", tmp_path / "log"
    config.write_text(f"listen: 127.0.0.1:{port}\nissuer: http://localhost\nstore: sqlite:///no/as.db\nworkers: 2\n")
    arguments = command("authserver", "serve", "--config", str(config))
    with (
        log.open("wb") as told,
        subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=told, text=True) as process,
    ):
        try:
            wait_until(lambda: "a worker ended and is started again" in log.read_text(), START_SECONDS)
            process.terminate()
            assert process.communicate(timeout=STOP_SECONDS)[0] == ""
        finally:
            process.kill()
