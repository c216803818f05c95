"""Clients by command line, on both stores."""

import asyncio
import json
from pathlib import Path

import pytest

from extauthz.authserver.client_auth import SecretVerifier
from extauthz.authserver.store.base import ClientRecord
from extauthz.authserver.store.sqlite import SqliteStore
from unit.cli.authserver.conftest import Command


def listed(extauthz: Command) -> dict[str, dict[str, object]]:
    return {row["id"]: row for row in json.loads(extauthz("client", "list", "--json").stdout)}


def kept(path: Path, client_id: str) -> ClientRecord:
    async def find() -> ClientRecord | None:
        async with SqliteStore(path) as store:
            return await store.find_client(client_id)

    record = asyncio.run(find())
    assert record is not None
    return record


def fits(secret: str, secret_hash: str) -> bool:
    async def check() -> bool:
        return await SecretVerifier().matches(secret, secret_hash)

    return asyncio.run(check())


def test_a_client_lives_through_all_commands(store: str, extauthz: Command) -> None:
    """A client is added, listed, rotated, disabled and enabled, whatever the store is."""
    first = json.loads(
        extauthz(
            "client",
            "add",
            "app",
            "--scope",
            "a b",
            "--network",
            "10.0.0.0/8",
            "--jwt",
            "--certificate-bound",
            "--json",
        ).stdout
    )
    assert first["client_id"] == "app"
    second = extauthz("client", "rotate", "app").stdout.strip()
    assert len(second) == 43
    assert second != first["client_secret"]
    row = listed(extauthz)["app"]
    assert (row["scopes"], row["networks"], row["jwt"]) == ("a b", ["10.0.0.0/8"], True)
    assert row["certificate bound"] is True
    assert row["old secret until"] is not None
    extauthz("client", "disable", "app")
    assert listed(extauthz)["app"]["disabled since"] is not None
    extauthz("client", "enable", "app")
    assert listed(extauthz)["app"]["disabled since"] is None


def test_rotation_keeps_the_old_secret_for_its_grace(sqlite_store: Path, extauthz: Command) -> None:
    """After a rotation the old secret is the old one of the record, and none is with no grace."""
    first = extauthz("client", "add", "app").stdout.strip()
    second = extauthz("client", "rotate", "app").stdout.strip()
    record = kept(sqlite_store, "app")
    assert fits(second, record.secret_hash)
    assert fits(first, record.old_secret_hash)
    extauthz("client", "rotate", "app", "--grace", "0s")
    record = kept(sqlite_store, "app")
    assert (record.old_secret_hash, record.old_secret_until) == ("", 0)


def test_the_table_shows_no_secret_and_steers_no_terminal(sqlite_store: Path, extauthz: Command) -> None:
    """The list of clients is readable, and holds neither secrets nor their hashes."""
    secret = extauthz("client", "add", "gateway", "--can-introspect", "--audience", "*").stdout.strip()
    shown = extauthz("client", "list").stdout
    assert "gateway" in shown
    assert "client_secret" in shown
    assert secret not in shown
    assert "$2b$" not in shown


def test_no_clients_is_said(sqlite_store: Path, extauthz: Command) -> None:
    """An empty list is a sentence for people and an empty list for scripts."""
    extauthz("authserver", "migrate")
    assert extauthz("client", "list").stdout == "no clients\n"
    assert json.loads(extauthz("client", "list", "--json").stdout) == []


@pytest.mark.parametrize("arguments", [("rotate", "nobody"), ("disable", "nobody"), ("enable", "nobody")])
def test_a_client_that_is_not_there_is_named(sqlite_store: Path, extauthz: Command, arguments: tuple[str, ...]) -> None:
    """What cannot be done to a client that is not there ends with its id."""
    extauthz("authserver", "migrate")
    assert "there is no client 'nobody'" in extauthz("client", *arguments, status=1).stderr


def test_a_client_without_secret_has_none_to_rotate(sqlite_store: Path, extauthz: Command) -> None:
    """A client with a certificate gets no secret, neither when it is added nor later."""
    assert extauthz("client", "add", "app", "--certificate-subject", "CN=app").stdout == ""
    assert "authenticates by tls_client_auth" in extauthz("client", "rotate", "app", status=1).stderr


@pytest.mark.parametrize("subject", ["app", "CN=", "CN=app,,O=x"])
def test_a_subject_that_no_certificate_has_is_refused(sqlite_store: Path, extauthz: Command, subject: str) -> None:
    """What is no name (RFC 4514) would match nothing, and is told when the client is added."""
    result = extauthz("client", "add", "app", "--certificate-subject", subject, status=1)
    assert "the subject of a certificate" in result.stderr
    assert listed(extauthz) == {}


def test_a_network_that_is_none_is_refused(sqlite_store: Path, extauthz: Command) -> None:
    """A network with host bits is a mistake, and nothing is added."""
    assert "10.0.0.1/8" in extauthz("client", "add", "app", "--network", "10.0.0.1/8", status=1).stderr
    assert listed(extauthz) == {}


def test_a_password_in_the_url_is_refused(extauthz: Command) -> None:
    """A password on the command line would be seen by all; the refusal does not repeat it."""
    result = extauthz("client", "list", "--store", "postgresql://u:geheim@127.0.0.1/as", status=2)
    assert "a password does not stand in the URL" in result.stderr
    assert "geheim" not in result.output
