"""Identity headers from any claim: by path, from lists, and written so that a reader can undo it."""

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, strategies as st

from extauthz.core.identity import (
    IdentityHeader,
    IdentityHeaders,
    ListStyle,
    NonAscii,
    find_claim,
    removals,
    twins,
)
from extauthz.core.introspection import Active

CLAIMS: dict[str, Any] = {
    "email": "ann@example.com",
    "age": 7,
    "admin": True,
    "nothing": None,
    "groups": ["dev", "ops"],
    "numbers": [1, 2.5, False],
    "names": ["Ann Other", "Bob"],
    "listed": ["a,b", "c"],
    "empty": [],
    "realm_access": {"roles": ["admin", "user"], "deep": {"er": "x"}},
    "https://example.com/role": "editor",
    "name": "Zoë 100%",
    "tab": "a\tb",
}


def token(**claims: Any) -> Active:  # noqa: ANN401 - any JSON value
    return Active(scopes=frozenset(), claims={**CLAIMS, **claims})


def value(claim: str, lists: ListStyle = ListStyle.SPACE, non_ascii: NonAscii = NonAscii.REJECT) -> str | None:
    return IdentityHeader(name="x-auth-value", claim=claim, lists=lists, non_ascii=non_ascii).value(token())


@pytest.mark.shows("S22")
@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ("email", "ann@example.com"),
        ("age", "7"),
        ("admin", "true"),
        ("groups", "dev ops"),
        ("numbers", "1 2.5 false"),
        ("realm_access.roles", "admin user"),
        ("realm_access.deep.er", "x"),
        ("https://example.com/role", "editor"),
    ],
)
def test_a_claim_is_found_by_its_name_or_by_the_path_to_it(claim: str, expected: str) -> None:
    assert value(claim) == expected


@pytest.mark.parametrize("claim", ["nothing", "empty", "absent", "realm_access.none", "email.x", "groups.0", "."])
def test_what_is_not_there_is_no_value(claim: str) -> None:
    assert value(claim) is None


@pytest.mark.parametrize(
    ("claim", "lists", "expected"),
    [
        ("groups", ListStyle.COMMA, "dev,ops"),
        ("names", ListStyle.COMMA, "Ann Other,Bob"),
        ("groups", ListStyle.JSON, '["dev","ops"]'),
        ("realm_access", ListStyle.JSON, '{"roles":["admin","user"],"deep":{"er":"x"}}'),
        ("listed", ListStyle.JSON, '["a,b","c"]'),
    ],
)
def test_a_list_is_written_as_the_operator_says(claim: str, lists: ListStyle, expected: str) -> None:
    assert value(claim, lists) == expected


@pytest.mark.shows("S39")
@pytest.mark.parametrize(
    ("claim", "lists"),
    [
        ("names", ListStyle.SPACE),
        ("listed", ListStyle.COMMA),
        ("realm_access", ListStyle.SPACE),
        ("tab", ListStyle.SPACE),
        ("name", ListStyle.SPACE),
    ],
)
def test_a_value_that_would_be_misread_stops_the_request(claim: str, lists: ListStyle) -> None:
    """A list whose parts run together names other groups; an object has no text; a control character ends a header."""
    headers = IdentityHeaders(headers=(IdentityHeader(name="x-auth-value", claim=claim, lists=lists),))
    assert headers.forward(token()) is None


@pytest.mark.shows("S54", "N48")
def test_percent_writes_the_percent_sign_too_so_that_it_can_be_undone() -> None:
    assert value("name", non_ascii=NonAscii.PERCENT) == "Zo%C3%AB 100%25"


@pytest.mark.shows("S54", "N48")
def test_base64url_writes_every_value_so_that_nobody_has_to_guess() -> None:
    assert value("email", non_ascii=NonAscii.BASE64URL) == "YW5uQGV4YW1wbGUuY29t"


@pytest.mark.shows("S39", "E19", "N48")
@pytest.mark.parametrize("non_ascii", [NonAscii.PERCENT, NonAscii.BASE64URL])
@pytest.mark.parametrize("text", ["a\r\nx: y", "a\x00", "a\x7f", "a\u2028b", "a\ud800"])
def test_no_option_forwards_a_control_character(non_ascii: NonAscii, text: str) -> None:
    header = IdentityHeader(name="x-auth-value", claim="bad", non_ascii=non_ascii)
    with pytest.raises(ValueError, match="control character"):
        header.value(token(bad=text))


@pytest.mark.shows("S54")
@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\u2028\u2029"), min_size=1))
def test_percent_encoding_loses_nothing(text: str) -> None:
    header = IdentityHeader(name="x-auth-value", claim="any", non_ascii=NonAscii.PERCENT)
    if text.strip(" ") == text:
        assert unquote(header.value(token(any=text)) or "") == text


def test_a_name_wins_over_a_path_that_reads_the_same() -> None:
    assert find_claim({"a.b": 1, "a": {"b": 2}}, "a.b") == 1


@pytest.mark.shows("E21")
def test_a_token_that_is_not_forwarded_is_taken_out_of_the_request() -> None:
    """`forward_token: false` removes `authorization` on every allow."""
    headers = IdentityHeaders(headers=(IdentityHeader(name="x-auth-sub", claim="sub"),), forward_token=False)
    assert headers.names == ("x-auth-sub", "authorization")
    assert headers.forward(Active(scopes=frozenset(), sub="u1")) == ((("x-auth-sub", "u1"),), ("authorization",))


def test_twins_are_all_spellings_that_a_server_could_fold_together() -> None:
    assert set(twins("x-a")) == {"x-a", "x_a", "x.a"}
    assert len(twins("x-auth-sub")) == 9


@pytest.mark.shows("E10")
def test_nothing_is_both_set_and_removed() -> None:
    """Envoy removes last: a header in both lists would not arrive."""
    removed = removals(["x-auth-sub"], ["x-auth-scope"])
    assert "x-auth-sub" not in removed
    assert {"x-auth-scope", "x_auth_sub", "x-auth.scope", "x-envoy-auth-failure-mode-allowed"} <= set(removed)
    assert len(removed) == len(set(removed))


@pytest.mark.shows("S52")
@pytest.mark.parametrize(
    ("sub", "client_id", "kind"),
    [
        ("u1", "app", "user"),
        ("u1", None, "user"),
        (None, "app", "client"),
        ("", "app", "client"),
        ("app", "app", "client"),
        (None, None, "client"),
    ],
)
def test_a_header_can_tell_people_from_clients(sub: str | None, client_id: str | None, kind: str) -> None:
    """RFC 9700 §4.15: a client that is called like a user must not pass for one. No claim of the token says it."""
    headers = IdentityHeaders.of({"x-auth-kind": "token_kind"})
    said = Active(scopes=frozenset(), sub=sub, client_id=client_id, claims={"token_kind": "user"})
    assert headers.forward(said) == ((("x-auth-kind", kind),), ())
