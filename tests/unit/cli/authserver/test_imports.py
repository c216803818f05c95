"""Clients from a file, as a pipeline brings them in."""

import json
from pathlib import Path

import pytest

from unit.cli.authserver.conftest import Command

CLIENTS = """\
clients:
  gateway:
    secret: {file: gateway.secret}
    can_introspect: true
    audiences: ["*"]
    networks: [10.0.0.0/8]
  app:
    secret: {file: app.secret}
    scopes: [orders:read]
    certificate_bound_tokens: true
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Two clients, with their secrets beside them."""
    for name in ("gateway", "app"):
        (tmp_path / f"{name}.secret").write_text(f"the secret of {name}\n")
    path = tmp_path / "clients.yaml"
    path.write_text(CLIENTS)
    return path


def changes(extauthz: Command, file: Path, *arguments: str) -> dict[str, str]:
    rows = json.loads(extauthz("client", "import", str(file), "--json", *arguments).stdout)
    return {row["client"]: row["change"] for row in rows}


def listed(extauthz: Command) -> dict[str, dict[str, object]]:
    return {row["id"]: row for row in json.loads(extauthz("client", "list", "--json").stdout)}


def test_a_second_import_changes_nothing(store: str, extauthz: Command, file: Path) -> None:
    """An import adds what is missing; the same again finds nothing to do, whatever the store is."""
    assert changes(extauthz, file) == {"gateway": "add", "app": "add"}
    assert changes(extauthz, file) == {"gateway": "unchanged", "app": "unchanged"}
    assert extauthz("client", "import", str(file)).stdout == "nothing to change\n"
    assert listed(extauthz)["gateway"]["networks"] == ["10.0.0.0/8"]
    assert [listed(extauthz)[name]["certificate bound"] for name in ("gateway", "app")] == [False, True]


def test_a_dry_run_tells_and_does_nothing(sqlite_store: Path, extauthz: Command, file: Path) -> None:
    """What would be done is told, and not done."""
    assert changes(extauthz, file, "--dry-run") == {"gateway": "add", "app": "add"}
    assert listed(extauthz) == {}


def test_a_new_secret_keeps_the_old_one_for_a_while(sqlite_store: Path, extauthz: Command, file: Path) -> None:
    """A secret that the file replaces is rotated, and one that the file does not name is left as it is."""
    changes(extauthz, file)
    (file.parent / "app.secret").write_text("another")
    file.write_text(CLIENTS.replace("    secret: {file: gateway.secret}\n", ""))
    assert changes(extauthz, file) == {"gateway": "unchanged", "app": "change"}
    assert listed(extauthz)["app"]["old secret until"] is not None


def test_prune_disables_and_does_not_delete(sqlite_store: Path, extauthz: Command, file: Path) -> None:
    """A client that the file does not name is left alone, and disabled with --prune, once; the file brings it back."""
    changes(extauthz, file)
    extauthz("client", "add", "old")
    assert changes(extauthz, file) == {"gateway": "unchanged", "app": "unchanged"}
    assert changes(extauthz, file, "--prune")["old"] == "disable"
    assert "old" not in changes(extauthz, file, "--prune")
    assert listed(extauthz)["old"]["disabled since"] is not None
    file.write_text(CLIENTS + "  old: {}\n")
    assert changes(extauthz, file)["old"] == "change"
    assert listed(extauthz)["old"]["disabled since"] is None


def test_a_file_without_clients_prunes_nothing(sqlite_store: Path, extauthz: Command, file: Path) -> None:
    """What a broken pipeline leaves empty must not shut everybody out."""
    changes(extauthz, file)
    file.write_text("clients: {}\n")
    assert "names no client" in extauthz("client", "import", str(file), "--prune", status=1).stderr
    assert [row["disabled since"] for row in listed(extauthz).values()] == [None, None]
    assert changes(extauthz, file) == {}


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        ("secret: hunter2", "write {file: …} or {env: …}: secrets do not belong in this file"),
        ("secret: {file: nowhere}", "this file does not exist"),
        ("scope: [a]", "unknown key (got 'scope'); did you mean 'scopes'?"),
        ("networks: [10.0.0.1/8]", "did you mean '10.0.0.0/8'?"),
        ("grants: [password]", "write client_credentials or refresh_token"),
    ],
)
def test_faults_are_told_with_their_place(
    sqlite_store: Path, extauthz: Command, file: Path, entry: str, complaint: str
) -> None:
    """A fault stops the import before anything is changed; no secret is repeated."""
    file.write_text(f"clients:\n  good: {{secret: {{file: app.secret}}}}\n  bad:\n    {entry}\n")
    result = extauthz("client", "import", str(file), status=2)
    assert f"{file}:4:" in result.stderr
    assert complaint in result.stderr
    assert "hunter2" not in result.output
    assert not sqlite_store.exists()


def test_a_new_client_needs_credentials(sqlite_store: Path, extauthz: Command, file: Path) -> None:
    """No client is added that nobody could use, nor are those before it."""
    file.write_text("clients:\n  good: {secret: {file: app.secret}}\n  bad: {}\n")
    assert "client 'bad' has no secret yet" in extauthz("client", "import", str(file), status=1).stderr
    assert listed(extauthz) == {}
