"""Identity headers: each configured name is set or removed on every allow, and no value carries more than itself."""

import pytest

from extauthz.core.identity import MAX_IDENTITY_BYTES, NO_IDENTITY, TOKEN_CLAIMS, IdentityHeaders, check_header_name
from extauthz.testing import SUB_AND_SCOPE, active

ALL_CLAIMS = IdentityHeaders.of({f"x-auth-{claim.replace('_', '-')}": claim for claim in TOKEN_CLAIMS})

FORWARDED = {
    "a plain name": "u1",
    "one character": "u",
    "an inner space": "Jane Roe",
    "an e-mail address": "jane@example.com",
    "a URI": "https://as.example.com/users/1?tenant=a,b",
    "every printable character": "".join(map(chr, range(0x21, 0x7F))),
    "a value that looks like a header": "x-auth-scope: admin",
}

NOT_FORWARDED = {
    "line feed and a header": "a\r\nX-Auth-Scope: admin",
    "line feed": "a\nb",
    "line feed at the end": "a\n",
    "carriage return": "a\rb",
    "tab": "a\tb",
    "NUL": "a\x00",
    "DEL": "a\x7f",
    "C1 control": "a\x85b",
    "space before": " a",
    "space after": "a ",
    "space alone": " ",
    "Latin-1": "Jos\xe9",
    "beyond Latin-1": "Cem \xd6zdemir \u20ac",
    "line separator": "a\u2028b",
    "lone surrogate": "a\ud800",
}


@pytest.mark.parametrize("value", FORWARDED.values(), ids=FORWARDED)
def test_a_printable_value_is_forwarded_as_it_is(value: str) -> None:
    """Nothing is escaped, cut or folded: the upstream compares it with what the server said."""
    assert SUB_AND_SCOPE.forward(active("a b", sub=value)) == ((("x-auth-sub", value), ("x-auth-scope", "a b")), ())


@pytest.mark.shows("S39", "S54", "E19", "N48")
@pytest.mark.parametrize("value", NOT_FORWARDED.values(), ids=NOT_FORWARDED)
@pytest.mark.parametrize("claim", ["sub", "client_id", "username", "iss", "jti"])
def test_a_value_that_a_header_cannot_carry_stops_the_request(claim: str, value: str) -> None:
    """Dropped or altered it would name somebody else."""
    token = active(sub=value, client_id=value, username=value, iss=value, jti=value)
    assert IdentityHeaders.of({"x-auth-value": claim}).forward(token) is None


@pytest.mark.shows("S51", "E14", "E15")
def test_a_claim_that_the_token_lacks_is_removed_and_not_filled_from_another() -> None:
    """Without `sub` (client credentials) there is no subject; the client id is not one (RFC 9700 §4.15)."""
    token = active("", sub=None, client_id="batch", username="batch")
    assert SUB_AND_SCOPE.forward(token) == ((), ("x-auth-sub", "x-auth-scope"))


@pytest.mark.shows("S51", "E14")
@pytest.mark.parametrize("claim", ["sub", "client_id", "username", "iss", "jti"])
def test_an_empty_claim_is_removed_and_not_sent_empty(claim: str) -> None:
    """Upstreams read an empty header in many ways."""
    token = active("", sub="", client_id="", username="", iss="", jti="")
    assert IdentityHeaders.of({"x-auth-value": claim}).forward(token) == ((), ("x-auth-value",))


def test_every_claim_reaches_its_own_header_in_the_order_of_the_policy() -> None:
    """No claim is mistaken for another."""
    token = active("a b", sub="s", client_id="c", username="u", iss="i", jti="j")
    assert ALL_CLAIMS.forward(token) == (
        (
            ("x-auth-sub", "s"),
            ("x-auth-scope", "a b"),
            ("x-auth-client-id", "c"),
            ("x-auth-username", "u"),
            ("x-auth-iss", "i"),
            ("x-auth-jti", "j"),
        ),
        (),
    )


@pytest.mark.shows("S53", "E12", "N49")
@pytest.mark.parametrize("extra", [0, 1])
def test_names_and_values_together_stay_within_the_budget(extra: int) -> None:
    """A cut value would be a lie and a larger head is refused by NGINX, so the request is."""
    names = sum(len(name) for name in SUB_AND_SCOPE.names)
    scope = "s" * 100
    token = active(scope, sub="u" * (MAX_IDENTITY_BYTES - names - len(scope) + extra))
    assert (SUB_AND_SCOPE.forward(token) is None) == bool(extra)


def test_a_policy_may_forward_nothing() -> None:
    """Then nothing is set and nothing removed."""
    assert NO_IDENTITY.forward(active()) == ((), ())
    assert NO_IDENTITY.names == ()


@pytest.mark.parametrize(
    "name", ["x-auth-sub", "x-auth-scope", "x-user", "user", "x1", "remote-user", "x-content-owner"]
)
def test_an_ordinary_header_name_is_taken(name: str) -> None:
    """Lower case, as HTTP/2 and every gateway write it."""
    assert check_header_name(name) == name


@pytest.mark.shows("E8")
@pytest.mark.parametrize(
    "name",
    [
        *("", "X-Auth-Sub", "x_auth_sub", "x.auth.sub", "x--auth", "-x", "x-", "\xe9"),
        *("x auth", "x:", ":path", "x\n", "x\r\ny", "a-b-c-d-e-f", "x" * 33),
    ],
)
def test_a_name_that_readers_spell_differently_is_an_error_of_the_file(name: str) -> None:
    """CVE-2025-64484, CVE-2026-88011: `X_Auth_Sub` and `X.Auth.Sub` reach some back ends as `X-Auth-Sub`."""
    with pytest.raises(ValueError, match="lower-case letters"):
        check_header_name(name)


GATEWAY_HEADERS = [
    *("host", "connection", "content-length", "content-type", "transfer-encoding", "te", "trailer", "upgrade"),
    *(
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "grpc-status",
        "grpc-timeout",
        "authorization",
        "cookie",
    ),
    *("x-authz-status", "x-authz-reason", "x-original-uri", "x-original-method", "x-forwarded-for", "x-forwarded-uri"),
    *("x-envoy-original-path", "x-envoy-internal", "x-request-id"),
]


@pytest.mark.shows("E8")
@pytest.mark.parametrize("name", GATEWAY_HEADERS)
def test_a_name_that_gateways_act_upon_is_an_error_of_the_file(name: str) -> None:
    """A claim there would steer the gateway instead of naming the caller."""
    with pytest.raises(ValueError, match="meaning of its own"):
        check_header_name(name)
