"""Making tokens."""

from __future__ import annotations

from typing import Any

import pytest

from extauthz.authserver.minting import MAX_TTL_SECONDS, RESERVED_CLAIMS, Grant, checked_scope, mint
from extauthz.authserver.store.base import TokenKind, token_digest

GRANT = Grant(client_id="app", scope=("a",), audience=("x",), claims={"acr": "1"})


@pytest.mark.shows("S92")
def test_only_the_digest_of_a_token_is_recorded() -> None:
    """A token has 256 random bits, and its record knows the digest."""
    token, record = mint(GRANT, now=1000.9, ttl_seconds=60)
    assert len(token) == 43
    assert record.digest == token_digest(token)
    assert token not in repr(record)
    assert (record.issued_at, record.expires_at, record.claims) == (1000, 1060, {"acr": "1"})


def test_only_a_refresh_token_begins_a_family() -> None:
    """An access token is alone unless its grant has a family; each refresh token has one."""
    assert mint(GRANT, now=0, ttl_seconds=1)[1].family is None
    families = {mint(GRANT, kind=TokenKind.REFRESH, now=0, ttl_seconds=1)[1].family for _ in range(2)}
    assert len(families) == 2
    assert None not in families


@pytest.mark.parametrize(
    "members",
    [
        {"client_id": ""},
        {"sub": ""},
        {"audience": ("",)},
        {"audience": ("*",)},
        {"claims": {"": 1}},
        *({"claims": {name: 1}} for name in sorted(RESERVED_CLAIMS)),
    ],
)
def test_no_grant_holds_what_a_token_cannot_have(members: dict[str, Any]) -> None:
    """Names are not empty, nobody gets the word for all audiences, and no claim takes a standard place."""
    with pytest.raises(ValueError, match=r"empty|own"):
        Grant(**{"client_id": "app"} | members)


@pytest.mark.parametrize("value", ["\ud800", {"deep": ["\udfff"]}, 2**64, {1}])
def test_no_claim_is_what_json_cannot_tell(value: object) -> None:
    """What no answer could repeat is refused when the token is issued, not whenever somebody asks about it."""
    with pytest.raises(ValueError, match="JSON"):
        Grant(client_id="app", claims={"acr": "1", "odd": value})


@pytest.mark.parametrize("ttl", [0, -1, MAX_TTL_SECONDS + 1])
def test_a_lifetime_has_bounds(ttl: int) -> None:
    """No token is born expired or lives for ever."""
    with pytest.raises(ValueError, match="lifetime"):
        mint(GRANT, now=0, ttl_seconds=ttl)


def test_no_token_begins_after_its_end() -> None:
    """It would never be good."""
    with pytest.raises(ValueError, match="before it is good"):
        mint(GRANT, now=0, ttl_seconds=10, not_before=10)
    assert mint(GRANT, now=0, ttl_seconds=10, not_before=9)[1].not_before == 9


def test_scope_is_checked_and_loses_its_duplicates() -> None:
    """Scopes are words of RFC 6749 §3.3, each once."""
    assert checked_scope(["a", "b", "a"]) == ("a", "b")
    with pytest.raises(ValueError, match="scope"):
        checked_scope(['"'])
