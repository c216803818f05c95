"""How form bodies and query strings are read."""

from __future__ import annotations

import pytest

from extauthz.authserver.errors import ErrorCode, OAuthError
from extauthz.authserver.forms import is_form, parse_form, parse_query_names


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([b"application/x-www-form-urlencoded"], True),
        ([b"Application/X-WWW-Form-Urlencoded ; charset=UTF-8"], True),
        ([b"application/json"], False),
        ([b"application/x-www-form-urlencoded-not"], False),
        ([b"application/x-www-form-urlencoded"] * 2, False),
        ([], False),
    ],
)
def test_content_type_is_compared_by_media_type(values: list[bytes], *, expected: bool) -> None:
    """One form content type in any case, with any parameters, is a form; nothing else is."""
    assert is_form(values) is expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {}),
        (b"token=a%2Bb+c&x=y", {"token": "a+b c", "x": "y"}),
        (b"token=&x", {}),
        (b"token=a=b", {"token": "a=b"}),
        (b"a;b=c", {"a;b": "c"}),
        (b"token=%C3%A9", {"token": "é"}),
    ],
)
def test_parameters_without_a_value_are_left_out(body: bytes, expected: dict[str, str]) -> None:
    """A form is its parameters that have a value, decoded."""
    assert parse_form(body) == expected


@pytest.mark.parametrize("body", [b"a=1&a=2", b"a=&a=2", b"a&a", b"a=1&%61=1", b"a=%FF", b"\xff=1"])
def test_repeated_or_unreadable_parameters_are_refused(body: bytes) -> None:
    """A parameter that is repeated, even without a value, and bytes that are not UTF-8 are a bad request."""
    with pytest.raises(OAuthError) as caught:
        parse_form(body)
    assert caught.value.code is ErrorCode.INVALID_REQUEST


@pytest.mark.parametrize(
    ("query", "expected"), [(b"", set()), (b"token=x&a", {"token", "a"}), (b"%74oken=", {"token"}), (b"\xff", {"ÿ"})]
)
def test_query_names_are_found_in_any_bytes(query: bytes, expected: set[str]) -> None:
    """The names in a query string are found decoded, and no bytes make it fail."""
    assert parse_query_names(query) == expected
