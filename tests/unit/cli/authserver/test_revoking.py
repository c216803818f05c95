"""Tokens that are revoked by command line are forgotten by those who cache them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from extauthz.cli.processes import free_ports
from unit.cli.authserver.conftest import Command

SECRET = "a-secret-of-the-operator"


class Ops(HTTPServer):
    """An ops listener that remembers what it was told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", free_ports(1)[0]), _Handler)
        self.status = 200
        self.told: list[Any] = []

    @property
    def url(self) -> str:
        """Where notices are taken."""
        return f"http://127.0.0.1:{self.server_port}/revoke"


class _Handler(BaseHTTPRequestHandler):
    server: Ops

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.headers["authorization"] == f"Bearer {SECRET}":
            self.server.told.append(body)
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(server: Ops) -> Iterator[Ops]:
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def ops() -> Iterator[Ops]:
    with serving(Ops()) as server:
        yield server


@pytest.fixture
def options(tmp_path: Path, ops: Ops) -> tuple[str, ...]:
    (tmp_path / "ops-token").write_text(SECRET + "\n")
    return ("--notify", ops.url, "--notify-token-file", str(tmp_path / "ops-token"))


def issue(extauthz: Command, *arguments: str) -> dict[str, str]:
    told: dict[str, str] = json.loads(extauthz("token", "issue", "--client", "app", "--json", *arguments).stdout)
    return told


@pytest.mark.parametrize(
    ("conditions", "notice"),
    [
        (("--sub", "alice"), {"sub": ["alice"]}),
        (("--client", "app"), {"client_id": ["app"]}),
        (("--client", "app", "--sub", "alice"), {"sub": ["alice"]}),
        (("--jti", "j", "--sub", "alice"), {"jti": ["j"]}),
    ],
)
@pytest.mark.usefixtures("sqlite_store")
def test_a_notice_names_what_the_command_named(
    extauthz: Command,
    ops: Ops,
    options: tuple[str, ...],
    conditions: tuple[str, ...],
    notice: dict[str, list[str]],
) -> None:
    """Of several conditions the narrowest: a cache may forget more, never less. What is revoked already is told again."""
    issue(extauthz, "--sub", "alice")
    assert extauthz("token", "revoke", *conditions, *options).stdout.endswith(" revoked, 1 of 1 told\n")
    assert extauthz("token", "revoke", *conditions, *options).stdout == "0 revoked, 1 of 1 told\n"
    assert ops.told == [notice, notice]


def test_a_token_from_a_file_is_told_by_its_jti(
    sqlite_store: Path, extauthz: Command, ops: Ops, options: tuple[str, ...]
) -> None:
    """Never by itself; of one that nobody issued there is nothing to tell."""
    token = issue(extauthz)
    extauthz("token", "revoke", "--token-file", "-", *options, stdin=token["token"])
    refresh = issue(extauthz, "--refresh")
    extauthz("token", "revoke", "--token-file", "-", *options, stdin=refresh["token"])
    extauthz("token", "revoke", "--token-file", "-", *options, stdin="unknown")
    assert ops.told == [{"jti": [token["jti"]]}, {"jti": [refresh["jti"]]}]


def test_who_is_not_told_is_named_and_the_status_says_so(
    sqlite_store: Path, extauthz: Command, ops: Ops, options: tuple[str, ...]
) -> None:
    """The tokens are revoked all the same, and the others are told."""
    ops.status = 403
    issue(extauthz)
    with serving(Ops()) as other:
        result = extauthz("token", "revoke", "--client", "app", *options, "--notify", other.url, status=3)
        assert result.stdout == "1 revoked, 1 of 2 told\n"
        assert f"{ops.url} was not told" in result.stderr
        assert SECRET not in result.output
        result = extauthz("token", "revoke", "--client", "app", "--json", *options, "--notify", other.url, status=3)
        expected = {"revoked": 0, "told": [other.url], "not_told": {ops.url: "status 403"}}
        assert json.loads(result.stdout) == expected


def test_the_file_of_the_server_says_where_and_whom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extauthz: Command, ops: Ops, options: tuple[str, ...]
) -> None:
    """Its store and its `notify` are used, as the server uses them."""
    monkeypatch.delenv("EXTAUTHZ_STORE", raising=False)
    path = tmp_path / "authserver.yaml"
    path.write_text(
        "listen: 127.0.0.1:9190\nissuer: https://as.example.com\nstore: sqlite:///as.db\n"
        f"notify: {{urls: [{ops.url}], token: {{file: ops-token}}}}\n"
    )
    extauthz("token", "issue", "--client", "app", "--store", f"sqlite:///{tmp_path}/as.db")
    assert extauthz("token", "revoke", "--client", "app", "--config", str(path)).stdout == "1 revoked, 1 of 1 told\n"
    assert ops.told == [{"client_id": ["app"]}]


def test_a_store_must_be_named_somewhere(extauthz: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In an option, in the environment or in the file; and an address without its token tells nobody."""
    monkeypatch.delenv("EXTAUTHZ_STORE", raising=False)
    assert "name a store" in extauthz("token", "revoke", "--client", "app", status=2).stderr
    result = extauthz("token", "revoke", "--client", "app", "--notify", "http://127.0.0.1:1/revoke", status=2)
    assert "--notify needs --notify-token-file" in result.stderr
