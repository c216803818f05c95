"""Decision → CheckResponse: what Envoy does with the bytes, for every reason there is."""

import itertools
import json
import re

import pytest
from hypothesis import given, strategies as st

from extauthz._gen.extauthz_envoy_pb2 import CheckResponse, HeaderValueOption
from extauthz.core.challenge import challenge
from extauthz.core.decision import OUTAGES, OUTCOMES, Allow, Deny, Reason, deny
from extauthz.core.identity import FAILURE_MODE_HEADER
from extauthz.core.introspection import Active, Inactive
from extauthz.core.policy import decide
from extauthz.wire.envoy.decode import MAX_ADDED_LENGTH
from extauthz.wire.envoy.encode import encode
from support.largest import largest_rule, largest_token

NAMES = ("x-auth-sub", "x-auth-scope", "x-tenant")
VALUES = {"x-auth-sub": "u1", "x-auth-scope": "orders:read orders:write", "x-tenant": "acme"}
HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
FORBIDDEN = re.compile(r"host|:.*|grpc-.*|content-length|transfer-encoding|connection|te|upgrade|keep-alive|proxy-.*")
DENIALS = [
    pytest.param(deny(reason, rule="orders", challenge=challenge(reason, "api", ("orders:read",))), id=reason)
    for reason in OUTCOMES
]
SPLITS = [present for size in range(len(NAMES) + 1) for present in itertools.combinations(NAMES, size)]
for_every_split = pytest.mark.parametrize("present", SPLITS, ids=lambda present: "+".join(present) or "none")


def allow(present: tuple[str, ...] = NAMES[:2], absent: tuple[str, ...] = (), reason: Reason = Reason.ALLOWED) -> Allow:
    identity = tuple((name, VALUES[name]) for name in present)
    return Allow(reason=reason, rule="orders", identity=identity, absent=absent)


def split(present: tuple[str, ...]) -> Allow:
    """All names are configured; the token has claims for these."""
    return allow(present, tuple(name for name in NAMES if name not in present))


def read(decision: Allow | Deny) -> CheckResponse:
    return CheckResponse.FromString(encode(decision))


def headers_of(response: CheckResponse) -> list[HeaderValueOption]:
    kind = response.WhichOneof("http_response")
    return list(response.ok_response.headers if kind == "ok_response" else response.denied_response.headers)


def pairs(response: CheckResponse) -> dict[str, str]:
    return {option.header.key: option.header.value for option in headers_of(response)}


class TestDeny:
    """An answer that Envoy cannot take for an allow."""

    @pytest.mark.shows("E2", "E4", "E66")
    @pytest.mark.parametrize("decision", DENIALS)
    def test_it_has_a_code_and_a_status(self, decision: Deny) -> None:
        """Without a code Envoy lets the request pass; a status goes out as it stands."""
        response = read(decision)
        assert response.status.code == decision.outcome.code
        assert response.status.code != 0
        assert response.WhichOneof("http_response") == "denied_response"
        assert response.denied_response.status.code == decision.outcome.status
        assert 400 <= response.denied_response.status.code <= 599

    @pytest.mark.shows("S11", "E12")
    @pytest.mark.parametrize("decision", DENIALS)
    def test_its_headers_are_these_and_no_others(self, decision: Deny) -> None:
        """Challenge and `Retry-After` where there are any; never stored, nothing of our inside."""
        expected = {
            "content-type": "application/json",
            "cache-control": "no-store",
            "x-authz-reason": decision.reason.value,
        }
        if decision.challenge:
            expected["www-authenticate"] = decision.challenge
        if decision.outcome.status in (429, 503):
            expected["retry-after"] = "1"
        response = read(decision)
        assert pairs(response) == expected
        assert len(headers_of(response)) == len(expected)

    @pytest.mark.parametrize("decision", DENIALS)
    def test_no_identity_goes_with_it(self, decision: Deny) -> None:
        """The request ends here."""
        response = read(decision)
        assert not response.HasField("ok_response")
        assert not {name for name in pairs(response) if name.startswith("x-auth-")}

    @pytest.mark.parametrize("decision", DENIALS)
    def test_the_body_has_the_reason_and_nothing_else(self, decision: Deny) -> None:
        """One word, the same as in log and metric."""
        assert json.loads(read(decision).denied_response.body) == {"error": decision.reason.value}

    @pytest.mark.shows("E2")
    @pytest.mark.parametrize("reason", [Reason.ALLOWED, Reason.PUBLIC])
    def test_even_a_nonsensical_one_denies(self, reason: Reason) -> None:
        """Zero, empty and unforeseen all deny."""
        response = read(Deny(reason=reason))
        assert (response.status.code, response.denied_response.status.code) == (13, 500)

    @pytest.mark.shows("S11")
    def test_browsers_may_show_a_challenge_to_other_origins_where_the_rule_says_so(self) -> None:
        """Only where there is one, and where the rule lets their preflights through."""
        challenged = deny(Reason.INACTIVE, challenge="Bearer x", cross_origin=True)
        assert pairs(read(challenged))["access-control-expose-headers"] == "WWW-Authenticate"
        for decision in (deny(Reason.NO_ROUTE, cross_origin=True), deny(Reason.INACTIVE, challenge="Bearer x")):
            assert "access-control-expose-headers" not in pairs(read(decision))

    def test_the_servers_wish_is_passed_on(self) -> None:
        """Seconds, as it named them."""
        assert pairs(read(deny(Reason.SERVER_BUSY, retry_after=30)))["retry-after"] == "30"


class TestAllow:
    """The request passes with our identity and with no other."""

    @pytest.mark.shows("E3")
    def test_its_code_is_written_out(self) -> None:
        """A status that is there and says zero, and an OK response beside it."""
        response = read(allow())
        assert response.HasField("status")
        assert response.status.code == 0
        assert response.WhichOneof("http_response") == "ok_response"

    @pytest.mark.shows("S50", "E10", "E14", "E15")
    @for_every_split
    def test_every_name_is_either_set_or_removed(self, present: tuple[str, ...]) -> None:
        """A name that is neither would keep what the client sent."""
        response = read(split(present))
        removed = list(response.ok_response.headers_to_remove)
        assert pairs(response) == {name: VALUES[name] for name in present}
        assert set(NAMES) - set(present) <= set(removed)
        assert not set(removed) & set(present), "removing wins over setting"
        assert len(removed) == len(set(removed))

    @pytest.mark.shows("S50", "E18")
    @for_every_split
    def test_other_spellings_of_every_name_are_removed(self, present: tuple[str, ...]) -> None:
        """Servers fold `x_auth_sub` and `x.auth.sub` into the same variable."""
        removed = set(read(split(present)).ok_response.headers_to_remove)
        for name in NAMES:
            first, *rest = name.split("-")
            spellings = {
                first + "".join(itertools.chain(*zip(joints, rest, strict=True)))
                for joints in itertools.product("-_.", repeat=len(rest))
            }
            assert spellings - {name} <= removed

    @pytest.mark.shows("E17")
    @pytest.mark.parametrize(
        "decision", [allow(), split(()), Allow(reason=Reason.PUBLIC, rule="", identity=(), absent=())]
    )
    def test_the_mark_of_the_failure_mode_is_removed(self, decision: Allow) -> None:
        """Envoy sets it when it did not ask us; a client must not be able to."""
        assert FAILURE_MODE_HEADER == "x-envoy-auth-failure-mode-allowed"
        assert FAILURE_MODE_HEADER in read(decision).ok_response.headers_to_remove

    def test_names_that_look_like_each_other_are_not_removed(self) -> None:
        """Two configured names may be twins; then both are set."""
        identity = (("x-auth-sub", "u1"), ("x_auth-sub", "u2"))
        response = read(Allow(reason=Reason.ALLOWED, rule="r", identity=identity, absent=()))
        assert not set(pairs(response)) & set(response.ok_response.headers_to_remove)

    @pytest.mark.shows("E16")
    def test_a_public_route_removes_all_identity(self) -> None:
        """Nobody has looked at a token."""
        response = read(allow((), NAMES, Reason.PUBLIC))
        assert headers_of(response) == []
        assert set(NAMES) <= set(response.ok_response.headers_to_remove)


@pytest.mark.shows("E6", "E7", "E8", "E9")
@pytest.mark.parametrize("decision", [*DENIALS, *(pytest.param(split(present)) for present in SPLITS)])
def test_every_header_replaces_and_is_text(decision: Allow | Deny) -> None:
    """Envoy reads `append`, other clients read `append_action`; Envoy ignores `raw_value`."""
    options = headers_of(read(decision))
    for option in options:
        assert option.HasField("append")
        assert option.append.value is False
        assert option.append_action == HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
        assert option.header.value
        assert option.header.raw_value == b""
        assert HEADER_NAME.fullmatch(option.header.key)
        assert not FORBIDDEN.fullmatch(option.header.key)
    assert len({option.header.key for option in options}) == len(options)


@pytest.mark.shows("E12")
def test_no_answer_has_more_or_longer_headers_than_clients_take() -> None:
    """Twenty of 8 KiB each, whatever a policy asks for and a token has, added scopes included."""
    rule = largest_rule()
    added = ("t" * MAX_ADDED_LENGTH,)
    allow = decide(rule, largest_token(rule), 0.0)
    denials = [decide(rule, state, 0.0, added) for state in (Inactive(), Active(scopes=frozenset()))]
    assert isinstance(allow, Allow)
    for decision in (allow, *denials):
        options = headers_of(read(decision))
        assert len(options) <= 20
        assert max(len(option.header.key) + len(option.header.value) for option in options) <= 8192
    assert decide(rule, largest_token(rule, beyond=1), 0.0).reason is Reason.IDENTITY_NOT_FORWARDABLE


identities = st.dictionaries(
    st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8}){0,4}", fullmatch=True),
    st.none() | st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1),
    max_size=6,
)


@pytest.mark.shows("E10")
@given(claims=identities)
def test_any_configured_names_are_set_or_removed(claims: dict[str, str | None]) -> None:
    """The law behind the table: set xor removed, and removed without regard to case."""
    present = tuple((name, value) for name, value in claims.items() if value is not None)
    absent = tuple(name for name, value in claims.items() if value is None)
    response = read(Allow(reason=Reason.ALLOWED, rule="r", identity=present, absent=absent))
    removed = [name.lower() for name in response.ok_response.headers_to_remove]
    assert pairs(response) == dict(present)
    assert set(absent) <= set(removed)
    assert not set(removed) & {name for name, _ in present}


def test_the_same_decision_gives_the_same_bytes() -> None:
    """They are remembered, and decisions that differ are not mixed up."""
    assert encode(allow()) == encode(allow())
    assert len({encode(split(present)) for present in SPLITS}) == len(SPLITS)


@pytest.mark.parametrize("reason", sorted(OUTAGES))
def test_what_clients_can_bring_about_is_never_left_to_the_gateway(reason: Reason) -> None:
    """By one odd token, to which a server answers something odd, or by very many: it would open a gateway that fails open."""
    answer = CheckResponse.FromString(encode(deny(reason, rule="orders"), outage_is_error=True))
    by_clients = reason in (Reason.SERVER_ANSWER_INVALID, Reason.OVERLOADED)
    assert answer.WhichOneof("http_response") == ("denied_response" if by_clients else "error_response")
    assert answer.status.code == OUTCOMES[reason].code
