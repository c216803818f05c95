"""How decisions look as HTTP answers."""

from __future__ import annotations

import json

import pytest

from extauthz.authserver import render
from extauthz.authserver.errors import ErrorCode, OAuthError
from extauthz.authserver.service import Active, Inactive, Issued, Why

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
