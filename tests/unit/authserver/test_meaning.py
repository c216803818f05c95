"""What a token means to a caller."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from extauthz.authserver.meaning import Active, Inactive, Why, meaning, why_unusable
from extauthz.authserver.store.base import ClientRecord, TokenKind, TokenRecord

NOW = 1000
APP = ClientRecord(client_id="app")
RS = ClientRecord(client_id="rs", can_introspect=True, audiences=("api",))
RS_OF_ALL = ClientRecord(client_id="all", can_introspect=True, audiences=("*",), scopes=("b",))
ACCESS = TokenRecord(
    digest=bytes(32),
    jti="j",
    client_id="app",
    scope=("a", "b"),
    audience=("api",),
    issued_at=NOW,
    expires_at=NOW + 60,
    claims={"acr": "1"},
)
REFRESH = replace(ACCESS, kind=TokenKind.REFRESH)


def why(record: TokenRecord | None, caller: ClientRecord) -> Why | None:
    state = meaning(record, caller, issuer="https://as", now=NOW)
    return state.why if isinstance(state, Inactive) else None


@pytest.mark.shows("S90")
@pytest.mark.parametrize(
    ("record", "caller", "expected"),
    [
        pytest.param(None, RS, Why.UNKNOWN, id="no such token"),
        pytest.param(ACCESS, RS, None, id="4.2-1 its audience"),
        pytest.param(REFRESH, RS, Why.NOT_FOR_CALLER, id="4.2-5 a refresh token, a resource server"),
        pytest.param(REFRESH, RS_OF_ALL, Why.NOT_FOR_CALLER, id="4.2-5 even one that sees all"),
        pytest.param(REFRESH, APP, None, id="4.2-6 a refresh token, its own client"),
        pytest.param(replace(REFRESH, client_id="rs"), RS, None, id="4.2-6 its own client is a resource server"),
    ],
)
def test_refresh_tokens_are_for_their_client_alone(
    record: TokenRecord | None, caller: ClientRecord, expected: Why | None
) -> None:
    """A resource server has no business with refresh tokens, whatever audience they have."""
    assert why(record, caller) is expected


@pytest.mark.shows("S88")
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, None),
        ({"client_disabled": True}, Why.CLIENT_DISABLED),
        ({"revoked_at": NOW}, Why.REVOKED),
        ({"used_at": NOW}, Why.USED),
        ({"expires_at": NOW}, Why.EXPIRED),
        ({"not_before": NOW + 1}, Why.NOT_YET_VALID),
    ],
)
def test_each_state_check_runs(changes: dict[str, Any], expected: Why | None) -> None:
    """One failed check makes a token useless to anybody."""
    assert why_unusable(replace(REFRESH, **changes), NOW) is expected
    assert why(replace(REFRESH, **changes), APP) is expected


@pytest.mark.shows("S94")
def test_claims_and_use_are_told() -> None:
    """An active token tells its kind and every claim that it was issued with."""
    state = meaning(REFRESH, APP, issuer="https://as", now=NOW)
    assert isinstance(state, Active)
    assert (state.token_use, state.claims, state.scope) == (TokenKind.REFRESH, {"acr": "1"}, ("a", "b"))


def test_claims_do_not_print() -> None:
    """What is in the claims is the user's affair and stays out of every repr."""
    assert "acr" not in repr(ACCESS)
    assert "acr" not in repr(meaning(ACCESS, RS, issuer="https://as", now=NOW))
