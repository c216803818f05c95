"""Every denial has one status, one google.rpc code and one RFC 6750 error, and none of them lets anything pass."""

import pytest

from extauthz.core.decision import ALLOWING, OUTCOMES, RETRY_AFTER_SECONDS, Allow, Deny, Reason, deny

# reason: HTTP status, google.rpc code, RFC 6750 error; "-" where there is a challenge without error, "" without challenge
MATRIX = {
    Reason.BAD_METHOD: (400, 3, ""),
    Reason.BAD_HOST: (400, 3, ""),
    Reason.BAD_PATH: (400, 3, ""),
    Reason.BAD_METADATA: (400, 3, ""),
    Reason.NO_ROUTE: (403, 7, ""),
    Reason.NO_CREDENTIALS: (401, 16, "-"),
    Reason.UNSUPPORTED_SCHEME: (401, 16, "-"),
    Reason.MALFORMED_CREDENTIALS: (400, 3, "invalid_request"),
    Reason.SEVERAL_CREDENTIALS: (400, 3, "invalid_request"),
    Reason.INACTIVE: (401, 16, "invalid_token"),
    Reason.EXPIRED: (401, 16, "invalid_token"),
    Reason.NOT_YET_VALID: (401, 16, "invalid_token"),
    Reason.WRONG_ISSUER: (401, 16, "invalid_token"),
    Reason.WRONG_AUDIENCE: (401, 16, "invalid_token"),
    Reason.NOT_AN_ACCESS_TOKEN: (401, 16, "invalid_token"),
    Reason.SENDER_CONSTRAINED: (401, 16, "invalid_token"),
    Reason.INSUFFICIENT_SCOPE: (403, 7, "insufficient_scope"),
    Reason.INSUFFICIENT_DETAILS: (403, 7, "insufficient_scope"),
    Reason.WRONG_CLIENT: (403, 7, ""),
    Reason.WRONG_ACTOR: (403, 7, ""),
    Reason.NO_SUBJECT: (403, 7, ""),
    Reason.WRONG_CLAIM: (403, 7, ""),
    Reason.SERVER_UNREACHABLE: (503, 14, ""),
    Reason.SERVER_TIMEOUT: (503, 14, ""),
    Reason.SERVER_ERROR: (503, 14, ""),
    Reason.SERVER_BUSY: (503, 14, ""),
    Reason.SERVER_ANSWER_INVALID: (503, 14, ""),
    Reason.SERVER_REFUSED_US: (503, 14, ""),
    Reason.SERVER_CIRCUIT_OPEN: (503, 14, ""),
    Reason.OVERLOADED: (503, 14, ""),
    Reason.TOO_MANY_INACTIVE: (429, 8, ""),
    Reason.IDENTITY_NOT_FORWARDABLE: (503, 14, ""),
    Reason.UNTRUSTED_PEER: (403, 7, ""),
    Reason.MISCONFIGURED_GATEWAY: (500, 13, ""),
    Reason.AUDIT_UNAVAILABLE: (503, 14, ""),
    Reason.ABANDONED: (503, 14, ""),
    Reason.INTERNAL: (500, 13, ""),
}


@pytest.mark.shows("O2", "O3", "O4", "O5", "O6", "O7", "O13", "O14", "O15", "O16", "O17", "S6")
@pytest.mark.parametrize(("reason", "row"), MATRIX.items())
def test_a_reason_has_one_outcome(reason: Reason, row: tuple[int, int, str]) -> None:
    """The one table from which both doors answer."""
    outcome = deny(reason).outcome
    error = outcome.error or ("-" if outcome.challenged else "")
    assert (outcome.status, outcome.code, error) == row


def test_every_reason_to_deny_is_in_the_table() -> None:
    """A new reason without an outcome is noticed here, not by a gateway."""
    assert OUTCOMES.keys() == set(Reason) - ALLOWING
    assert OUTCOMES.keys() == MATRIX.keys()


@pytest.mark.shows("E2", "E4")
@pytest.mark.parametrize("reason", OUTCOMES)
def test_no_denial_looks_like_an_allow(reason: Reason) -> None:
    """For Envoy an absent or zero code is an allow, and a status below 400 goes out as it is."""
    assert 400 <= OUTCOMES[reason].status <= 599
    assert OUTCOMES[reason].code > 0


@pytest.mark.shows("S4")
@pytest.mark.parametrize("reason", OUTCOMES)
def test_only_credentials_are_challenged_and_a_401_always_is(reason: Reason) -> None:
    """RFC 9110 §15.5.2: a 401 without a challenge is illegal; an error without a challenge has no place to stand."""
    outcome = OUTCOMES[reason]
    assert outcome.challenged or outcome.status != 401
    assert outcome.challenged or not outcome.error


@pytest.mark.shows("S25", "S26", "N9")
@pytest.mark.parametrize("reason", [reason for reason in Reason if reason.startswith("server_")])
def test_trouble_at_the_authorization_server_is_never_the_fault_of_the_token(reason: Reason) -> None:
    """A 401 would make clients throw good tokens away."""
    assert OUTCOMES[reason].status == 503


@pytest.mark.parametrize("reason", sorted(ALLOWING))
def test_a_denial_for_a_reason_that_nobody_mapped_is_the_strictest(reason: Reason) -> None:
    """Even a nonsensical denial is one."""
    outcome = Deny(reason=reason).outcome
    assert (outcome.status, outcome.code, outcome.challenged) == (500, 13, False)


@pytest.mark.shows("O15", "O17", "S26", "E66", "N9", "N10")
@pytest.mark.parametrize(
    ("reason", "asked", "given"),
    [
        (Reason.SERVER_BUSY, 0, RETRY_AFTER_SECONDS),
        (Reason.SERVER_BUSY, 30, 30),
        (Reason.SERVER_BUSY, -5, RETRY_AFTER_SECONDS),
        (Reason.SERVER_TIMEOUT, 0, RETRY_AFTER_SECONDS),
        (Reason.IDENTITY_NOT_FORWARDABLE, 0, RETRY_AFTER_SECONDS),
        (Reason.TOO_MANY_INACTIVE, 0, RETRY_AFTER_SECONDS),
        (Reason.TOO_MANY_INACTIVE, 9, 9),
        (Reason.NO_ROUTE, 0, 0),
        (Reason.INACTIVE, 0, 0),
        (Reason.INTERNAL, 0, 0),
    ],
)
def test_a_503_always_says_when_to_come_back(reason: Reason, asked: int, given: int) -> None:
    """The server's wish if it has one, a second otherwise; no other status has it."""
    assert deny(reason, retry_after=asked).retry_after == given


def test_a_denial_keeps_its_rule_and_challenge() -> None:
    """`deny` adds `Retry-After` and nothing else."""
    made = deny(Reason.INACTIVE, rule="orders", challenge='Bearer realm="api"')
    assert made == Deny(reason=Reason.INACTIVE, rule="orders", challenge='Bearer realm="api"', retry_after=0)


def test_reasons_are_words_for_labels_and_headers() -> None:
    """`[a-z_]` and stable: a header value, a metric label and a word in the log need no escaping."""
    assert all(set(reason) <= set("abcdefghijklmnopqrstuvwxyz_") for reason in Reason)


@pytest.mark.parametrize(
    "verdict", [Allow(reason=Reason.PUBLIC, rule="r", identity=(), absent=()), deny(Reason.INACTIVE)]
)
def test_a_verdict_cannot_be_changed_after_it_was_made(verdict: Allow | Deny) -> None:
    """Rules share their ready-made answers between requests."""
    with pytest.raises(AttributeError):
        verdict.reason = Reason.ALLOWED  # type: ignore[misc]
