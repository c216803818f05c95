"""The command line on both kinds of store, within this process."""

import asyncio
from pathlib import Path
from typing import Protocol

import asyncpg
import pytest
from click.testing import CliRunner, Result

from extauthz.authserver.client_auth import hash_secret
from extauthz.authserver.store import postgres as postgres_store, sqlite
from extauthz.cli import main
from support.own_server import ROUNDS
from support.postgres_server import PostgresServer


class Command(Protocol):
    """Runs `extauthz`; without trouble unless `status` says otherwise."""

    def __call__(self, *arguments: str, status: int = 0, stdin: str | None = None) -> Result: ...


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cost of a hash is not what is tested."""
    monkeypatch.setattr(hash_secret, "__kwdefaults__", {"rounds": ROUNDS})


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long a store waits for a busy file or server is not what is tested, and a busy machine may need longer."""
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 40.0)
    monkeypatch.setattr(postgres_store, "COMMAND_SECONDS", 40.0)


@pytest.fixture
def empty_database(postgres: PostgresServer) -> str:
    """A database without any schema of ours."""
    asyncio.run(_empty(postgres.url))
    return postgres.url


async def _empty(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.close()


@pytest.fixture
def extauthz() -> Command:
    """The program, with the store where the environment says."""

    def command(*arguments: str, status: int = 0, stdin: str | None = None) -> Result:
        result = CliRunner().invoke(main, arguments, input=stdin)
        assert result.exit_code == status, result.output
        return result

    return command


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extauthz: Command) -> str:
    """An empty store, named by EXTAUTHZ_STORE."""
    url = f"sqlite:///{tmp_path / 'as.db'}" if request.param == "sqlite" else request.getfixturevalue("empty_database")
    monkeypatch.setenv("EXTAUTHZ_STORE", url)
    extauthz("authserver", "migrate")
    return url


@pytest.fixture
def sqlite_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file for what does not depend on the kind of store."""
    path = tmp_path / "as.db"
    monkeypatch.setenv("EXTAUTHZ_STORE", f"sqlite:///{path}")
    return path
