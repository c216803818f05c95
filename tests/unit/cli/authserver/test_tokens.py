"""Tokens by command line, on both stores."""

import json
from pathlib import Path

import pytest

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
