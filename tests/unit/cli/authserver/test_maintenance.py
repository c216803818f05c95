"""Migration and backup by command line."""

import json
import stat
from pathlib import Path

from unit.cli.authserver.conftest import Command


def test_postgresql_is_migrated_by_command_alone(empty_database: str, extauthz: Command) -> None:
    """A database without schema is refused with advice, and good after `authserver migrate`, which may be repeated."""
    there = ("--store", empty_database)
    refused = extauthz("client", "list", *there, status=1).stderr
    assert refused.endswith(": the database has schema 0, this program needs 2: run extauthz authserver migrate\n")
    assert "ValueError" not in refused
    assert "from schema 0 to " in extauthz("authserver", "migrate", *there).stdout
    assert extauthz("authserver", "migrate", *there).stdout.endswith(": up to date\n")
    assert extauthz("client", "list", *there).stdout == "no clients\n"


def test_a_backup_of_sqlite_is_a_private_store(sqlite_store: Path, tmp_path: Path, extauthz: Command) -> None:
    """The copy has everything, and only its owner reads it; an existing file is not overwritten."""
    extauthz("client", "add", "app")
    copy = tmp_path / "copy.db"
    extauthz("authserver", "backup", str(copy))
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    rows = json.loads(extauthz("client", "list", "--json", "--store", f"sqlite:///{copy}").stdout)
    assert [row["id"] for row in rows] == ["app"]
    assert f"Error: {copy} exists already" in extauthz("authserver", "backup", str(copy), status=1).stderr


def test_a_store_that_is_not_there_is_not_backed_up(sqlite_store: Path, tmp_path: Path, extauthz: Command) -> None:
    """A wrong path makes no empty store and no empty copy of it."""
    assert "there is no such store" in extauthz("authserver", "backup", str(tmp_path / "copy.db"), status=1).stderr
    assert list(tmp_path.iterdir()) == []


def test_postgresql_is_backed_up_with_its_own_tool(extauthz: Command) -> None:
    """The command to use instead is told."""
    result = extauthz("authserver", "backup", "copy.dump", "--store", "postgresql://as@127.0.0.1/as", status=2)
    assert "pg_dump --format=custom --file=copy.dump" in " ".join(result.stderr.split())
