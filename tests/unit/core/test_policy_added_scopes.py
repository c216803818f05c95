"""Scopes that a gateway asks for on top of a rule's: they can only make more of it."""

import pytest

from extauthz.core.decision import Allow, Deny, Reason
from extauthz.core.policy import decide
from extauthz.testing import Bench, active, policy, request, rule

NOW = 1_700_000_000.0


@pytest.mark.shows("E40")
def test_a_token_with_the_added_scopes_passes() -> None:
    decision = decide(rule(), active("orders:read extra"), NOW, ("extra",))
    assert isinstance(decision, Allow)


@pytest.mark.shows("E40")
@pytest.mark.parametrize("scope", ["orders:read", "extra", ""])
def test_a_token_without_all_of_both_does_not(scope: str) -> None:
    """The challenge names what is needed in all."""
    decision = decide(rule(), active(scope), NOW, ("extra",))
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.INSUFFICIENT_SCOPE
    assert decision.challenge.endswith('scope="orders:read extra"')


@pytest.mark.shows("E40")
async def test_a_public_route_cannot_be_asked_for_scopes() -> None:
    """It looks at no token: gateway and policy contradict each other, and nobody passes until that is settled."""
    bench = Bench()
    public = rule(name="public", path="/healthz", anonymous=True, alternatives=())
    bench.authorizer.policy = policy(public)
    decision = await bench.authorizer.check(request(target="/healthz", added_scopes=("extra",)))
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.MISCONFIGURED_GATEWAY
