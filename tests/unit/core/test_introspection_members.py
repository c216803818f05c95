"""The members of an introspection answer (RFC 7662 §2.2): each has one shape, and any other shape teaches us nothing."""

import json

import pytest

from extauthz.core.decision import Allow, Reason
from extauthz.core.introspection import Active, Answer, Inactive, TokenState, Unavailable, read_answer
from extauthz.core.policy import decide
from extauthz.testing import rule

ISSUER = "https://as.example.com"
NOW = 1_700_000_000.0


def read(members: dict[str, object], issuer: str | None = ISSUER, *, token_type_required: bool = False) -> TokenState:
    """The state that an active answer with these members leads to."""
    body = json.dumps({"active": True, **members}).encode("ascii")
    answer = Answer(status=200, content_type="application/json", body=body)
    return read_answer(answer, issuer=issuer, answers_others=True, token_type_required=token_type_required)


def is_garbage(state: TokenState) -> bool:
    """Whether nothing was learnt because of the answer itself."""
    return isinstance(state, Unavailable) and state.reason is Reason.SERVER_ANSWER_INVALID


@pytest.mark.parametrize("name", ["sub", "client_id", "username", "iss", "jti"])
@pytest.mark.parametrize("value", [5, 0, 1.5, True, False, {}, [], ["u1"], {"id": "u1"}])
def test_a_text_that_is_no_string_is_garbage(name: str, value: object) -> None:
    """It is never turned into a string: `5` and `"5"` may be two users."""
    assert is_garbage(read({name: value}))


@pytest.mark.shows("S39", "E19", "N48")
@pytest.mark.parametrize("name", ["sub", "client_id", "username", "iss", "jti"])
@pytest.mark.parametrize(
    "value",
    [
        "a\r\nX-Auth-Scope: admin",
        "a\nb",
        "a\r",
        "\ta",
        "a\x00",
        "\x1b[0m",
        "a\x7f",
        "a\x85b",
        "a\u2028b",
        "a\u2029",
        "a\ud800",
    ],
)
def test_a_text_with_a_control_character_is_garbage(name: str, value: str) -> None:
    """It would end a header line or a log line, or be no Unicode at all."""
    assert is_garbage(read({name: value}))


@pytest.mark.parametrize("value", ["", "u1", "Jane Roe", "Cem \xd6zdemir \u20ac", "\U0001f600"])
def test_a_text_without_controls_is_kept_as_it_is(value: str) -> None:
    """Whether a header can carry it is decided where it is forwarded."""
    state = read({"sub": value})
    assert isinstance(state, Active)
    assert state.sub == value


@pytest.mark.shows("S21")
@pytest.mark.parametrize(
    ("value", "audience"),
    [
        (None, ()),
        ("https://api.example.com", ("https://api.example.com",)),
        (["x", "https://api.example.com"], ("x", "https://api.example.com")),
        ([], ()),
        ("a b", ("a b",)),
    ],
)
def test_an_audience_is_a_string_or_a_list_of_strings(value: object, audience: tuple[str, ...]) -> None:
    """A string is one audience, spaces and all."""
    state = read({"aud": value})
    assert isinstance(state, Active)
    assert state.aud == audience


@pytest.mark.shows("S21")
@pytest.mark.parametrize("value", [{}, 5, 0, False, True, ["x", 5], [None], [["x"]], {"aud": "x"}])
def test_an_audience_of_another_shape_is_garbage(value: object) -> None:
    """Guessing whom a token is for would be guessing who may use it."""
    assert is_garbage(read({"aud": value}))


@pytest.mark.shows("S46")
@pytest.mark.parametrize(
    ("value", "scope"),
    [
        ("orders:read orders:write", "orders:read orders:write"),
        ("orders:read  orders:read", "orders:read"),
        ("", ""),
        (None, ""),
        ("Orders:Read", "Orders:Read"),
        (["orders:read"], ""),
        ("orders:read\torders:write", ""),
        ('a"b c', "c"),
        ({"orders:read": True}, ""),
        (5, ""),
        (True, ""),
    ],
)
def test_a_scope_that_is_not_in_the_grammar_grants_nothing(value: object, scope: str) -> None:
    """Extra spaces are forgiven; a list, a number or an illegal word is as good as absent (RFC 6749 §3.3)."""
    state = read({"scope": value})
    assert isinstance(state, Active)
    assert (state.scope, state.scopes) == (scope, frozenset(scope.split()))


@pytest.mark.parametrize("name", ["exp", "nbf"])
@pytest.mark.parametrize(
    ("value", "seconds"),
    [(1_700_000_300, 1_700_000_300.0), (1_700_000_300.5, 1_700_000_300.0), (1.7e9, 1.7e9), (0, 0.0), (None, None)],
)
def test_a_time_is_whole_seconds_rounded_down(name: str, value: object, seconds: float | None) -> None:
    """Fractions are legal (RFC 7519 §2); zero is a time like any other, and long past."""
    state = read({name: value})
    assert isinstance(state, Active)
    assert getattr(state, name) == seconds


@pytest.mark.shows("S18")
@pytest.mark.parametrize("name", ["exp", "nbf"])
@pytest.mark.parametrize(
    "value", ["1700000300", "", True, False, -1, -0.5, 2**53 + 1, 1e300, pytest.param(10**400, id="10**400"), [], {}]
)
def test_a_time_that_is_no_sensible_number_is_garbage(name: str, value: object) -> None:
    """A string, a bool, a negative or absurd number: it must not pass for "never"."""
    assert is_garbage(read({name: value}))


@pytest.mark.parametrize("value", ["x", True, -5, 1_700_009_999, [], None])
def test_the_time_of_issue_is_not_looked_at(value: object) -> None:
    """A server whose clock is ahead is not a reason to deny."""
    assert isinstance(read({"iat": value}), Active)


@pytest.mark.shows("S19")
@pytest.mark.parametrize(
    ("named", "expected", "accepted"),
    [
        (ISSUER, ISSUER, True),
        (None, ISSUER, True),
        (ISSUER, None, True),
        (None, None, True),
        ("https://evil.example", ISSUER, False),
        (ISSUER + "/", ISSUER, False),
        (ISSUER.upper(), ISSUER, False),
        ("", ISSUER, False),
    ],
)
def test_an_issuer_if_named_is_the_one_that_we_asked(named: str | None, expected: str | None, accepted: bool) -> None:
    """Exact comparison; a server need not name itself."""
    state = read({"iss": named}, issuer=expected)
    assert isinstance(state, Active) if accepted else state == Inactive(reason=Reason.WRONG_ISSUER)


@pytest.mark.shows("S20")
@pytest.mark.parametrize(
    "members",
    [
        {"token_use": "refresh_token"},
        {"token_use": "id_token"},
        {"token_type": "refresh_token"},
        {"token_type": "Refresh_Token"},
        {"typ": "Refresh"},
        {"typ": "Offline"},
        {"typ": "ID"},
        {"typ": "JWT", "token_type": "Bearer", "token_use": "refresh_token"},
        {"token_use": "refresh_token", "cnf": {"jkt": "x"}},
    ],
)
def test_a_token_of_another_kind_is_no_access_token(members: dict[str, object]) -> None:
    """RFC 7662 answers for refresh tokens as well, and no standard member says which is which."""
    assert read(members) == Inactive(reason=Reason.NOT_AN_ACCESS_TOKEN)


@pytest.mark.shows("S77")
@pytest.mark.parametrize(
    "members", [{"token_type": "DPoP"}, {"token_type": "dpop"}, {"cnf": {"jkt": "x"}}, {"cnf": {}}]
)
def test_a_token_bound_to_a_key_is_no_bearer_token(members: dict[str, object]) -> None:
    """We check no proof of possession, so accepting it would undo the binding (RFC 9449 §7, RFC 8705 §3)."""
    assert read(members) == Inactive(reason=Reason.SENDER_CONSTRAINED)


@pytest.mark.shows("S20")
@pytest.mark.parametrize(
    "members",
    [
        {"token_type": "Bearer"},
        {"token_type": "bearer"},
        {"token_type": "access_token"},
        {"token_type": "N_A"},
        {"token_type": 5},
        {"token_use": "access_token", "typ": "Bearer"},
        {"typ": "at+jwt"},
        {"cnf": None},
    ],
)
def test_every_name_for_an_access_token_is_accepted(members: dict[str, object]) -> None:
    """Servers call it many things."""
    assert isinstance(read(members), Active)


@pytest.mark.shows("S18", "E36")
@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({}, Reason.ALLOWED),
        ({"exp": 1_700_000_300}, Reason.ALLOWED),
        ({"exp": 1_699_999_990}, Reason.ALLOWED),
        ({"exp": 1_699_999_900}, Reason.EXPIRED),
        ({"exp": 0}, Reason.EXPIRED),
        ({"exp": None}, Reason.ALLOWED),
        ({"nbf": 1_700_000_100}, Reason.NOT_YET_VALID),
        ({"nbf": 1_700_000_030}, Reason.ALLOWED),
        ({"scope": "orders:reader"}, Reason.INSUFFICIENT_SCOPE),
        ({"scope": ["orders:read"]}, Reason.INSUFFICIENT_SCOPE),
        ({"scope": None}, Reason.INSUFFICIENT_SCOPE),
        ({"sub": "Cem \xd6zdemir"}, Reason.IDENTITY_NOT_FORWARDABLE),
    ],
)
def test_what_was_read_is_what_is_judged(members: dict[str, object], reason: Reason) -> None:
    """The server's `active: true` and our own look at dates, scope and identity, with a leeway of a minute."""
    decision = decide(rule(leeway=60), read({"scope": "orders:read", "sub": "u1", **members}), NOW)
    assert decision.reason is reason
    assert isinstance(decision, Allow) == (reason is Reason.ALLOWED)


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "access_token"])
def test_with_a_token_type_required_any_name_for_an_access_token_will_do(kind: str) -> None:
    """It is the member that counts, since servers call it many things."""
    assert isinstance(read({"token_type": kind}, token_type_required=True), Active)


@pytest.mark.parametrize("members", [{}, {"token_type": None}, {"token_type": 5}, {"token_type": ["Bearer"]}])
def test_with_a_token_type_required_a_token_without_one_is_no_access_token(members: dict[str, object]) -> None:
    """A refresh token is told from an access token by this alone at some servers."""
    assert read(members, token_type_required=True) == Inactive(reason=Reason.NOT_AN_ACCESS_TOKEN)


def test_with_a_token_type_required_an_inactive_token_is_just_inactive() -> None:
    """Nothing else is expected of it."""
    assert read({"active": False}, token_type_required=True) == Inactive()
