"""Tokens by command line, on both stores."""

import asyncio
import json
from pathlib import Path

import pytest

from extauthz.authserver.store.base import TokenRecord, token_digest
from extauthz.authserver.store.opening import open_store
from unit.cli.authserver.conftest import Command


def issue(extauthz: Command, *arguments: str) -> dict[str, str]:
    told: dict[str, str] = json.loads(extauthz("token", "issue", "--client", "app", "--json", *arguments).stdout)
    return told


def states(extauthz: Command, *arguments: str) -> dict[str, str]:
    return {row["jti"]: row["state"] for row in json.loads(extauthz("token", "list", "--json", *arguments).stdout)}


def test_tokens_are_listed_and_revoked_by_what_they_are(store: str, extauthz: Command) -> None:
    """A token is revoked by jti, by user, by client or by itself, and the count is told, whatever the store is."""
    one, two = issue(extauthz, "--sub", "alice"), issue(extauthz, "--sub", "alice")
    three, four = issue(extauthz, "--sub", "bob"), issue(extauthz)
    assert set(states(extauthz, "--sub", "alice")) == {one["jti"], two["jti"]}
    assert extauthz("token", "revoke", f"--jti={one['jti']}").stdout == "1 revoked\n"
    assert extauthz("token", "revoke", "--sub", "alice", "--client", "app").stdout == "1 revoked\n"
    assert json.loads(
        extauthz("token", "revoke", "--token-file", "-", "--json", stdin=three["token"] + "\n").stdout
    ) == {"revoked": 1, "told": [], "not_told": {}}
    left = states(extauthz, "--client", "app")
    assert left == {one["jti"]: "revoked", two["jti"]: "revoked", three["jti"]: "revoked", four["jti"]: "active"}
    assert extauthz("token", "revoke", "--client", "app").stdout == "1 revoked\n"


def test_the_list_does_not_show_tokens(sqlite_store: Path, extauthz: Command) -> None:
    """Listed are names of tokens, of no use as credentials."""
    token = issue(extauthz, "--sub", "al\x1b[31mice")
    shown = extauthz("token", "list").stdout
    assert token["jti"] in shown
    assert token["token"] not in shown
    assert "\x1b" not in shown


def test_an_unknown_token_is_revoked_already(sqlite_store: Path, extauthz: Command) -> None:
    """Revoking what is not there is no error."""
    extauthz("authserver", "migrate")
    assert extauthz("token", "revoke", "--token-file", "-", stdin="unknown").stdout == "0 revoked\n"


@pytest.mark.parametrize("arguments", [(), ("--jti", "x", "--token-file", "-")])
def test_what_is_revoked_must_be_named(sqlite_store: Path, extauthz: Command, arguments: tuple[str, ...]) -> None:
    """Without a condition nothing is revoked, least of all everything."""
    assert "name what is to be revoked" in extauthz("token", "revoke", *arguments, status=2, stdin="x").stderr


@pytest.mark.parametrize("content", ["", "two words", "é", "x" * 20_000])
def test_a_file_that_is_no_token_is_refused(sqlite_store: Path, extauthz: Command, content: str) -> None:
    """What cannot be one token is a mistake and not an unknown token; it is not repeated."""
    result = extauthz("token", "revoke", "--token-file", "-", status=1, stdin=content)
    assert "this is not one token" in result.stderr


def test_a_token_says_how_its_user_is_called_and_when_it_begins(store: str, extauthz: Command) -> None:
    """Every member of an introspection answer (RFC 7662 §2.2) can be had from the command line."""
    token = issue(extauthz, "--sub", "u1", "--username", "alice", "--not-before", "10m")
    assert states(extauthz) == {token["jti"]: "not_yet_valid"}
    record = asyncio.run(found(store, token["token"]))
    assert record is not None
    assert record.username == "alice"
    assert record.not_before == record.issued_at + 600


async def found(store: str, token: str) -> TokenRecord | None:
    async with open_store(store) as opened:
        return await opened.find_token(token_digest(token))


def test_a_claim_is_given_once(sqlite_store: Path, extauthz: Command) -> None:
    """Of two values nobody could tell which is meant."""
    twice = ("--claim", "acr=1", "--claim", "acr=2")
    assert "acr" in extauthz("token", "issue", "--client", "app", *twice, status=2).stderr
    assert not sqlite_store.exists()


def test_a_client_that_is_not_registered_is_told(sqlite_store: Path, extauthz: Command) -> None:
    """The token is issued all the same, but a slip in the name does not go unseen: nobody could disable that client."""
    extauthz("client", "add", "app")
    arguments = ("token", "issue", "--client")
    assert "no client 'apq' is registered" in extauthz(*arguments, "apq").stderr
    assert extauthz(*arguments, "app").stderr == ""
