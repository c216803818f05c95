"""RFC 6750 §2.1: `credentials = "Bearer" 1*SP b64token`, and nothing that resembles it."""

import pytest

from extauthz.core.bearer import MAX_TOKEN_LENGTH, extract
from extauthz.core.decision import Reason
from extauthz.core.token import Token

EXAMPLE = "mF_9.B5f-4.1JqM"  # the token of RFC 6750 §2.1

ACCEPTED = {
    "as in the RFC": ("Bearer mF_9.B5f-4.1JqM", EXAMPLE),
    "scheme in lower case": ("bearer mF_9.B5f-4.1JqM", EXAMPLE),
    "scheme in upper case": ("BEARER mF_9.B5f-4.1JqM", EXAMPLE),
    "scheme in mixed case": ("bEaReR mF_9.B5f-4.1JqM", EXAMPLE),
    "three spaces": ("Bearer   mF_9.B5f-4.1JqM", EXAMPLE),
    "optional whitespace around the value": (" \tBearer mF_9.B5f-4.1JqM\t ", EXAMPLE),
    "padding": ("Bearer abc==", "abc=="),
    "every character of b64token": ("Bearer AZaz09-._~+/=", "AZaz09-._~+/="),
    "a token that spells the scheme": ("Bearer bearer", "bearer"),
    "the longest token": ("Bearer " + "a" * MAX_TOKEN_LENGTH, "a" * MAX_TOKEN_LENGTH),
}

REFUSED = {
    "header empty": ("", Reason.NO_CREDENTIALS),
    "header of whitespace": (" \t ", Reason.NO_CREDENTIALS),
    "another scheme": ("Basic dXNlcjpwYXNz", Reason.UNSUPPORTED_SCHEME),
    "another scheme without credentials": ("Negotiate", Reason.UNSUPPORTED_SCHEME),
    "DPoP": ("DPoP mF_9.B5f-4.1JqM", Reason.UNSUPPORTED_SCHEME),
    "another scheme with a comma of its own": ('Digest username="a", realm="b"', Reason.UNSUPPORTED_SCHEME),
    "another scheme whose parameter begins with bearer": ("Sig a=b,bearertoken=c", Reason.UNSUPPORTED_SCHEME),
    "scheme runs into the token": ("Bearerabc", Reason.UNSUPPORTED_SCHEME),
    "bare token": (EXAMPLE, Reason.UNSUPPORTED_SCHEME),
    "no scheme at all": ('"Bearer abc"', Reason.UNSUPPORTED_SCHEME),
    "scheme alone": ("Bearer", Reason.MALFORMED_CREDENTIALS),
    "scheme and spaces": ("Bearer   ", Reason.MALFORMED_CREDENTIALS),
    "tab after the scheme": ("Bearer\tabc", Reason.MALFORMED_CREDENTIALS),
    "tab after the space": ("Bearer \tabc", Reason.MALFORMED_CREDENTIALS),
    "colon after the scheme": ("Bearer: abc", Reason.MALFORMED_CREDENTIALS),
    "two words": ("Bearer abc def", Reason.MALFORMED_CREDENTIALS),
    "the scheme twice": ("Bearer Bearer abc", Reason.MALFORMED_CREDENTIALS),
    "quoted token": ('Bearer "abc"', Reason.MALFORMED_CREDENTIALS),
    "padding inside": ("Bearer abc=d", Reason.MALFORMED_CREDENTIALS),
    "padding alone": ("Bearer ==", Reason.MALFORMED_CREDENTIALS),
    "legal in OAuth, not in a Bearer header": ("Bearer abc|1:2", Reason.MALFORMED_CREDENTIALS),
    "escape": ("Bearer abc%20d", Reason.MALFORMED_CREDENTIALS),
    "semicolon": ("Bearer abc;d", Reason.MALFORMED_CREDENTIALS),
    "what a gateway puts for bytes outside UTF-8, CVE-2023-27488": ("Bearer abc!", Reason.MALFORMED_CREDENTIALS),
    "line feed at the end": ("Bearer abc\n", Reason.MALFORMED_CREDENTIALS),
    "line feed between": ("Bearer\nabc", Reason.MALFORMED_CREDENTIALS),
    "carriage return inside": ("Bearer abc\rd", Reason.MALFORMED_CREDENTIALS),
    "NUL": ("Bearer abc\x00", Reason.MALFORMED_CREDENTIALS),
    "DEL": ("Bearer abc\x7f", Reason.MALFORMED_CREDENTIALS),
    "Latin-1": ("Bearer ab\xe9", Reason.MALFORMED_CREDENTIALS),
    "no-break space": ("Bearer\xa0abc", Reason.MALFORMED_CREDENTIALS),
    "fullwidth letters": ("Bearer \uff41\uff42\uff43", Reason.MALFORMED_CREDENTIALS),
    "Arabic digits": ("Bearer \u0661\u0662", Reason.MALFORMED_CREDENTIALS),
    "one byte too long": ("Bearer " + "a" * (MAX_TOKEN_LENGTH + 1), Reason.MALFORMED_CREDENTIALS),
    "far too long": ("Bearer " + "a" * 1_000_000, Reason.MALFORMED_CREDENTIALS),
    "merged without a space": ("Bearer a,Bearer b", Reason.SEVERAL_CREDENTIALS),
    "merged with a space": ("Bearer a, Bearer b", Reason.SEVERAL_CREDENTIALS),
    "merged with the same token": ("Bearer a, Bearer a", Reason.SEVERAL_CREDENTIALS),
    "merged with an empty line before": (",Bearer a", Reason.SEVERAL_CREDENTIALS),
    "merged with an empty line after": ("Bearer a,", Reason.SEVERAL_CREDENTIALS),
    "another scheme, merged, Bearer last": ("Basic dXNlcjpwYXNz,Bearer a", Reason.SEVERAL_CREDENTIALS),
    "another scheme, merged, bearer in lower case": ("DPoP a, \tbearer\tb", Reason.SEVERAL_CREDENTIALS),
    "another scheme, merged, Bearer first": ("Bearer a, Basic dXNlcjpwYXNz", Reason.SEVERAL_CREDENTIALS),
    "another scheme, merged with an empty Bearer": ("Basic dXNlcjpwYXNz,Bearer", Reason.SEVERAL_CREDENTIALS),
}

REPEATED = {
    "two tokens": ("Bearer a", "Bearer b"),
    "the same token twice": ("Bearer a", "Bearer a"),
    "two schemes": ("Basic dXNlcjpwYXNz", "Bearer a"),
    "an empty line before": ("", "Bearer a"),
    "an empty line after": ("Bearer a", ""),
    "no Bearer among them": ("Basic a", "Basic b"),
}


@pytest.mark.shows("S1", "E24", "N41")
@pytest.mark.parametrize(("value", "token"), ACCEPTED.values(), ids=ACCEPTED)
def test_a_bearer_value_gives_its_token_whole(value: str, token: str) -> None:
    """The scheme is case-insensitive, one or more spaces follow it, and the token is not altered."""
    assert extract((value,)) == Token(token)


@pytest.mark.shows("O3", "O4", "O5", "S1", "E27", "N41")
@pytest.mark.parametrize(("value", "reason"), REFUSED.values(), ids=REFUSED)
def test_any_other_value_gives_a_reason_and_no_token(value: str, reason: Reason) -> None:
    """Absent or foreign credentials are told from broken ones, and broken ones from too many."""
    assert extract((value,)) is reason


@pytest.mark.shows("O5", "S2", "E26", "N41")
@pytest.mark.parametrize("values", REPEATED.values(), ids=REPEATED)
def test_a_repeated_header_is_refused_whatever_its_values(values: tuple[str, ...]) -> None:
    """Authorization is no list (RFC 9110 §5.3), so "the first" or "the last" is a guess (CVE-2021-32777)."""
    assert extract(values) is Reason.SEVERAL_CREDENTIALS


@pytest.mark.shows("O2", "S8")
def test_no_header_means_no_credentials() -> None:
    """Nothing else is a place for a token: no query, no body, no `Proxy-Authorization`."""
    assert extract(()) is Reason.NO_CREDENTIALS
