"""`WWW-Authenticate` (RFC 6750 §3): which denial says what, to the letter, and nothing that a header cannot carry."""

import pytest

from extauthz.core.challenge import DESCRIPTIONS, challenge, check_realm
from extauthz.core.decision import OUTCOMES, Reason
from property.references import read_challenges

NOTHING_SENT = 'Bearer realm="api"'
INVALID_TOKEN = 'Bearer realm="api", error="invalid_token", error_description="The access token is invalid or expired"'
MALFORMED = 'Bearer realm="api", error="invalid_request", error_description="The Authorization header is malformed"'
SEVERAL = 'Bearer realm="api", error="invalid_request", error_description="More than one access token was sent"'
INSUFFICIENT = (
    'Bearer realm="api", error="insufficient_scope",'
    ' error_description="The access token does not have the required scope", scope="orders:read orders:write"'
)
INSUFFICIENT_DETAILS = (
    'Bearer realm="api", error="insufficient_scope",'
    ' error_description="The access token does not have the required authorization details"'
)

EXACT = {
    Reason.NO_CREDENTIALS: NOTHING_SENT,
    Reason.UNSUPPORTED_SCHEME: NOTHING_SENT,
    Reason.MALFORMED_CREDENTIALS: MALFORMED,
    Reason.SEVERAL_CREDENTIALS: SEVERAL,
    Reason.INACTIVE: INVALID_TOKEN,
    Reason.EXPIRED: INVALID_TOKEN,
    Reason.NOT_YET_VALID: INVALID_TOKEN,
    Reason.WRONG_ISSUER: INVALID_TOKEN,
    Reason.WRONG_AUDIENCE: INVALID_TOKEN,
    Reason.NOT_AN_ACCESS_TOKEN: INVALID_TOKEN,
    Reason.SENDER_CONSTRAINED: INVALID_TOKEN,
    Reason.INSUFFICIENT_SCOPE: INSUFFICIENT,
    Reason.INSUFFICIENT_DETAILS: INSUFFICIENT_DETAILS,
}


@pytest.mark.shows("O2", "O3", "O4", "O5", "O6", "O7", "S4", "S6")
@pytest.mark.parametrize(("reason", "value"), EXACT.items())
def test_a_denial_about_credentials_has_exactly_this_challenge(reason: Reason, value: str) -> None:
    """Clients act on these words; why a token is invalid stays with us."""
    assert challenge(reason, "api", ("orders:read", "orders:write")) == value


@pytest.mark.shows("O13", "O14", "O15", "S44")
@pytest.mark.parametrize("reason", OUTCOMES.keys() - EXACT.keys())
def test_a_denial_about_anything_else_has_none(reason: Reason) -> None:
    """A challenge asks for other credentials; none would help against a refused path or a broken server."""
    assert challenge(reason, "api", ("orders:read",)) == ""


@pytest.mark.shows("O2", "S3", "E23", "N4")
@pytest.mark.parametrize("reason", [Reason.NO_CREDENTIALS, Reason.UNSUPPORTED_SCHEME])
def test_no_error_is_named_where_no_token_was_sent(reason: Reason) -> None:
    """RFC 6750 §3.1: no error code or other error information without authentication information."""
    [(_, parameters)] = read_challenges(challenge(reason, "api"))
    assert [name for name, _ in parameters] == ["realm"]


@pytest.mark.parametrize("reason", EXACT.keys() - {Reason.INSUFFICIENT_SCOPE})
def test_scopes_are_named_only_where_more_of_them_would_help(reason: Reason) -> None:
    """The list of scopes belongs to `insufficient_scope`."""
    assert "scope=" not in challenge(reason, "api", ("orders:read",))


@pytest.mark.shows("S7")
def test_scopes_keep_the_order_of_the_policy() -> None:
    """So the same denial is the same text on every worker."""
    assert 'scope="b a c"' in challenge(Reason.INSUFFICIENT_SCOPE, "api", ("b", "a", "c"))


def test_an_empty_scope_is_left_out() -> None:
    """RFC 6750 §3 has no empty scope value."""
    value = challenge(Reason.INSUFFICIENT_SCOPE, "api")
    assert value.endswith('error_description="The access token does not have the required scope"')


@pytest.mark.shows("S5")
@pytest.mark.parametrize(
    ("realm", "quoted"),
    [
        ('a"b\\c', r'Bearer realm="a\"b\\c"'),
        ('"', r'Bearer realm="\""'),
        ("\\", r'Bearer realm="\\"'),
        ("two words, a comma", 'Bearer realm="two words, a comma"'),
        ('api", error="x', r'Bearer realm="api\", error=\"x"'),
    ],
)
def test_a_realm_is_a_quoted_string(realm: str, quoted: str) -> None:
    """RFC 9110 §11.5: whatever is in the realm, it ends where it should."""
    assert challenge(Reason.NO_CREDENTIALS, realm) == quoted
    assert read_challenges(quoted) == [("bearer", [("realm", realm)])]


@pytest.mark.parametrize("realm", ["api", " ", 'a"b\\c', "!~", "API of ACME, Inc."])
def test_a_printable_realm_is_taken_as_it_is(realm: str) -> None:
    """Free text, as long as a header can carry it."""
    assert check_realm(realm) == realm


@pytest.mark.shows("S5")
@pytest.mark.parametrize(
    "realm", ["", "a\nb", "api\n", "a\rb", "a\tb", "a\x00", "a\x7f", "caf\xe9", "\u20ac", "a\ud800"]
)
def test_a_realm_that_no_header_can_carry_is_an_error_of_the_file(realm: str) -> None:
    """Found when the policy is loaded, not when a client is denied."""
    with pytest.raises(ValueError, match="printable ASCII"):
        check_realm(realm)


@pytest.mark.shows("S5")
@pytest.mark.parametrize("text", DESCRIPTIONS.values())
def test_a_description_stays_in_its_character_set(text: str) -> None:
    """RFC 6750 §3: no quote, no backslash, no control, so that no quoting is ever needed."""
    assert all(character in " !" or "#" <= character <= "~" for character in text)
    assert "\\" not in text
