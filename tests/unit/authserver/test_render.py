"""How decisions look as HTTP answers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from extauthz.authserver import render
from extauthz.authserver.errors import ErrorCode, OAuthError
from extauthz.authserver.grants import Issued
from extauthz.authserver.meaning import Active, Inactive, Why
from extauthz.authserver.store.base import TokenKind

BARE = Active(
    client_id="app",
    iss="https://as.example.com",
    jti="j1",
    iat=1000,
    exp=1060,
    nbf=None,
    sub=None,
    username=None,
    scope=(),
    aud=(),
)


@pytest.mark.shows("S87")
@pytest.mark.parametrize("why", list(Why))
def test_every_inactive_token_looks_the_same(why: Why) -> None:
    """Whatever the reason, the answer is the same to the byte."""
    assert render.introspected(Inactive(why=why)) == render.introspected(Inactive(why=Why.UNKNOWN))
    assert render.introspected(Inactive(why=why)).body == b'{"active":false}'


@pytest.mark.shows("S89")
def test_what_a_token_lacks_is_left_out() -> None:
    """An active answer has no nulls, no empty scope and no empty audience."""
    assert json.loads(render.introspected(BARE).body) == {
        "active": True,
        "client_id": "app",
        "token_type": "Bearer",
        "token_use": "access_token",
        "exp": 1060,
        "iat": 1000,
        "iss": "https://as.example.com",
        "jti": "j1",
    }


def test_claims_are_told_and_never_in_the_place_of_others() -> None:
    """A claim is a member of the answer, but none that the server itself answers for, present or not."""
    claims = {"acr": "urn:mfa", "auth_time": 900, "sub": "root", "scope": "all", "active": False, "empty": None}
    members = json.loads(render.introspected(replace(BARE, claims=claims)).body)
    assert (members["acr"], members["auth_time"], members["active"]) == ("urn:mfa", 900, True)
    assert {"sub", "scope", "empty"}.isdisjoint(members)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "Bearer"),
        ({"claims": {"cnf": {"jkt": "k"}}}, "DPoP"),
        ({"claims": {"cnf": {"x5t#S256": "k"}}}, "Bearer"),
        ({"token_use": TokenKind.REFRESH}, None),
    ],
)
def test_token_type_says_how_a_token_is_presented(change: dict[str, Any], expected: str | None) -> None:
    """A token bound to a DPoP key is no bearer token, and a refresh token is neither."""
    assert json.loads(render.introspected(replace(BARE, **change)).body).get("token_type") == expected


def test_a_batch_is_made_of_single_answers() -> None:
    """Each of many answers is to the byte what the single one would be, in order."""
    states: list[Active | Inactive] = [Inactive(why=Why.UNKNOWN), BARE, Inactive(why=Why.REVOKED)]
    bodies = [render.introspected(state).body for state in states]
    assert render.introspected_each(states).body == b'{"responses":[' + b",".join(bodies) + b"]}"


def test_empty_scope_is_not_told_at_issuing() -> None:
    """A token without scope is issued without the member."""
    answer = render.issued(Issued(access_token="t", expires_in_seconds=60, scope=()))
    assert json.loads(answer.body) == {"access_token": "t", "token_type": "Bearer", "expires_in": 60}


def test_issued_token_does_not_print() -> None:
    """The repr of an issued token has no token in it."""
    assert "s3cret" not in repr(Issued(access_token="s3cret", expires_in_seconds=60, scope=()))


@pytest.mark.parametrize("code", list(ErrorCode))
def test_only_unauthenticated_clients_get_401(code: ErrorCode) -> None:
    """invalid_client is 401 with a challenge, every other refusal is 400 without one."""
    answer = render.refused(OAuthError(code, "why"), realm="token")
    expected = 401 if code is ErrorCode.INVALID_CLIENT else 400
    assert answer.status == expected
    assert (b"www-authenticate" in dict(answer.headers())) is (expected == 401)
    assert json.loads(answer.body) == {"error": code, "error_description": "why"}
