"""What is wrong on a command line is named."""

from pathlib import Path

import pytest

from extauthz.cli.processes import free_ports
from unit.cli.authserver.conftest import Command


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("token", "issue", "--client", "app", "--ttl", "60"), 2, "is not a number with a unit"),
        (("token", "issue", "--client", "app", "--ttl", "500ms"), 2, "not a whole number of seconds"),
        (("token", "issue", "--client", "app", "--ttl", "0s"), 2, "at least 1s"),
        (("token", "issue", "--client", "app", "--ttl", "99999d"), 1, "the lifetime of a token"),
        (("token", "issue", "--client", "app", "--scope", "a  b"), 2, "single spaces"),
        (("token", "issue", "--client", "app", "--audience", "*"), 1, "named audiences"),
        (("token", "issue", "--client", "app", "--claim", "acr"), 2, "is not NAME=JSON"),
        (("token", "issue", "--client", "app", "--claim", "sub=1"), 1, "the server's own: sub"),
        (("client", "add", "taken"), 1, "'taken' is registered already: `client rotate` gives it a new secret"),
        (("authserver", "serve", "--issuer", "nowhere"), 2, "write a whole URL"),
        (("authserver", "serve", "--listen", "nowhere"), 2, "nowhere"),
    ],
)
def test_mistakes_on_the_command_line_are_named(
    sqlite_store: Path, extauthz: Command, arguments: tuple[str, ...], status: int, complaint: str
) -> None:
    """A wrong argument ends with an error that names it, without a traceback."""
    extauthz("client", "add", "taken")
    result = extauthz(*arguments, status=status)
    assert result.stdout == ""
    assert complaint in result.stderr


@pytest.mark.parametrize("url", ["mysql://localhost/as", "as.db", "sqlite:///", "sqlite:///:memory:"])
def test_a_store_that_is_none_is_refused(extauthz: Command, url: str) -> None:
    """A store is a file of SQLite or a database of PostgreSQL, and the error says so."""
    assert "sqlite:///path.db" in extauthz("client", "list", "--store", url, status=2).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("client", "list"),
        ("client", "rotate", "app"),
        ("client", "disable", "app"),
        ("client", "enable", "app"),
        ("token", "list"),
        ("token", "revoke", "--client", "app"),
    ],
)
def test_a_file_that_is_not_there_is_no_empty_store(
    sqlite_store: Path, extauthz: Command, arguments: tuple[str, ...]
) -> None:
    """A slip in the path must not look as if there were nothing to revoke."""
    assert f"{sqlite_store}: there is no such store" in extauthz(*arguments, status=1).stderr
    assert not sqlite_store.exists()


def test_a_server_needs_a_store(extauthz: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a store and without a file that names one nothing starts."""
    monkeypatch.delenv("EXTAUTHZ_STORE", raising=False)
    assert "--config authserver.yaml" in extauthz("authserver", "serve", status=2).stderr


def test_a_file_with_faults_starts_nothing(extauthz: Command, tmp_path: Path) -> None:
    """The faults of the file are told with their places."""
    path = tmp_path / "authserver.yaml"
    path.write_text("listen: 9190\n")
    result = extauthz("authserver", "serve", "--config", str(path), status=2)
    assert f"{path}:1:9: an address is" in result.stderr
    assert "store is missing: write store: sqlite:" in result.stderr


def test_an_audit_file_that_cannot_be_written_starts_nothing(extauthz: Command, tmp_path: Path) -> None:
    """Its lines would be lost, and nobody told but by a counter."""
    (port,) = free_ports(1)
    path = tmp_path / "authserver.yaml"
    path.write_text(
        f"listen: 127.0.0.1:{port}\nissuer: http://localhost\nstore: sqlite:///as.db\naudit: no/audit.jsonl\n"
    )
    result = extauthz("authserver", "serve", "--config", str(path), status=1)
    assert f"cannot write to {tmp_path}/no/audit.jsonl, which audit names: No such file or directory" in result.stderr
