"""Servers among which a token chooses must be told apart by something."""

from typing import Any

import pytest

from extauthz.config.groups import check_groups
from extauthz.config.service_schema import AuthorizationServer
from extauthz.config.validate import sound_policy
from extauthz.config.yaml_source import read_yaml

ISSUER = {"issuer": "https://as.example.com"}
PREFIX = {"tokens": {"prefix": "glpat-"}}
OPAQUE = {"tokens": {"opaque": True}}


def server(**keys: Any) -> AuthorizationServer:  # noqa: ANN401 - as a file has it
    return AuthorizationServer.model_validate(
        {
            "introspection_endpoint": "https://as.example.com/introspect",
            "client": {"id": "gateway", "secret": {"env": "CLIENT_SECRET"}},
            **keys,
        }
    )


def messages(
    *servers: dict[str, Any], policy: str = "routes: [{name: r, path: /r, scopes: [], authorization_server: [a, b]}]"
) -> list[str]:
    """What is wrong with a route that allows the servers a and b."""
    document = read_yaml(f"version: 1\n{policy}\n".encode(), "policy.yaml")
    described = {name: server(**keys) for name, keys in zip("abc", servers, strict=False)}
    return [fault.message for fault in check_groups(sound_policy(None, document), document, described)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (ISSUER, {"issuer": "https://other.example.com"}),
        (ISSUER, PREFIX),
        (ISSUER, OPAQUE),
        (PREFIX, {"tokens": {"prefix": "glpat-ci-"}}),
        (PREFIX, OPAQUE),
        ({**ISSUER, **PREFIX}, ISSUER),
        ({**ISSUER, **OPAQUE}, ISSUER),
    ],
)
def test_tokens_that_differ_need_nothing_more(first: dict[str, Any], second: dict[str, Any]) -> None:
    """In either order."""
    assert messages(first, second) == []
    assert messages(second, first) == []


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ({}, ISSUER, "nothing tells the tokens of a from others: give it issuer, tokens.prefix or tokens.opaque"),
        (ISSUER, {}, "nothing tells the tokens of b from others"),
        (ISSUER, ISSUER, "nothing tells the tokens of b from those of a: both have issuer https://as.example.com"),
        (PREFIX, PREFIX, "both have tokens.prefix glpat-"),
        (OPAQUE, OPAQUE, "both have tokens.opaque without a prefix"),
    ],
)
def test_tokens_that_do_not_differ_are_a_fault(first: dict[str, Any], second: dict[str, Any], words: str) -> None:
    """Nobody guesses."""
    (message,) = messages(first, second)
    assert words in message


def test_a_fault_of_the_defaults_is_told_once() -> None:
    """However many routes have it."""
    policy = "defaults: {authorization_server: [a, b]}\nroutes: [{name: r, path: /r, scopes: []}, {name: s, path: /s, scopes: []}]"
    assert len(messages({}, {}, policy=policy)) == 1


def test_one_server_alone_needs_nothing() -> None:
    """All tokens are its own."""
    assert messages({}, {}, policy="routes: [{name: r, path: /r, scopes: [], authorization_server: a}]") == []
    assert messages({}, policy="routes: [{name: r, path: /r, scopes: []}]") == []
