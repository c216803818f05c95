"""Every check is reported once: what was asked, what was answered and why; no query, no credentials, no error text."""

import asyncio
import re
from dataclasses import replace

import pytest

from extauthz.authorizer import Authorizer
from extauthz.core.claims import ClaimRule
from extauthz.core.decision import OUTAGES, Reason
from extauthz.core.demands import Demands
from extauthz.core.introspection import Inactive, TokenState, Unavailable
from extauthz.core.request import AuthRequest
from extauthz.observe.events import Checked
from extauthz.testing import Bench, StubResolver, active, policy, request, rule

NOW = 1_700_000_000.0
READER = active("orders:read", sub="u1", client_id="shop", exp=NOW + 300)


CHECKS: dict[str, tuple[AuthRequest, TokenState, Reason]] = {
    "allowed": (request(token="t"), READER, Reason.ALLOWED),
    "denied for its scope": (request(token="t"), active(""), Reason.INSUFFICIENT_SCOPE),
    "inactive": (request(token="t"), Inactive(), Reason.INACTIVE),
    "server in trouble": (request(token="t"), Unavailable(reason=Reason.SERVER_BUSY, detail="d"), Reason.SERVER_BUSY),
    "no credentials": (request(), READER, Reason.NO_CREDENTIALS),
    "no route": (request(target="/nowhere"), READER, Reason.NO_ROUTE),
    "refused path": (request(target="//"), READER, Reason.BAD_PATH),
    "refused method": (request("get"), READER, Reason.BAD_METHOD),
    "flaw found by the door": (request(flaw=Reason.BAD_METADATA), READER, Reason.BAD_METADATA),
}


@pytest.mark.parametrize(("asked", "state", "reason"), CHECKS.values(), ids=CHECKS)
async def test_a_check_is_reported_once_with_its_decision(
    asked: AuthRequest, state: TokenState, reason: Reason
) -> None:
    """What the gateway was told is what the log says."""
    bench = Bench(resolver=StubResolver({"t": state}))
    decision = await bench.check(asked)
    assert decision.reason is reason
    assert [event.decision for event in bench.observer.checks] == [decision]
    assert bench.event.fault == ""
    assert bench.observer.introspections == []


async def test_a_check_without_a_question_knows_no_level_and_nobody() -> None:
    """Even where a token was sent."""
    bench = Bench()
    await bench.check(request(target="/nowhere", token="good"))
    assert (bench.event.level, bench.event.sub, bench.event.client_id) == ("", None, None)


@pytest.mark.parametrize("state", [Inactive(), Unavailable(reason=Reason.SERVER_ERROR, detail="d")])
async def test_a_token_that_is_not_live_names_nobody(state: TokenState) -> None:
    """The level says that somebody was asked."""
    bench = Bench(resolver=StubResolver({"t": state}, level="memory"))
    await bench.check(request(token="t"))
    assert (bench.event.level, bench.event.sub, bench.event.client_id) == ("memory", None, None)


@pytest.mark.shows("E76")
async def test_the_event_says_what_was_asked_and_answered() -> None:
    """Everything that the audit line, the metrics and the trace need."""
    bench = Bench(resolver=StubResolver({"good": READER}, level="memory"))
    decision = await bench.check(request(token="good", door="nginx", request_id="r-1", host="API.example.com:443"))
    assert bench.event == Checked(
        decision_id="1",
        at=NOW,
        door="nginx",
        request_id="r-1",
        method="GET",
        host="API.example.com:443",
        path="/orders/1",
        decision=decision,
        level="memory",
        sub="u1",
        client_id="shop",
        scope=READER.scope,
        took_seconds=0.0,
        fault="",
        needed=("orders:read",),
        asked_seconds=0.0,
    )


async def test_the_event_measures_by_the_monotonic_clock() -> None:
    """A wall clock that is set back does not make a check negative."""
    gate = asyncio.Event()
    bench = Bench(resolver=StubResolver({"good": READER}, gate=gate))
    waiting = asyncio.create_task(bench.check(request(token="good")))
    await asyncio.sleep(0)
    bench.monotonic.advance(0.25)
    bench.wall.advance(-3600)
    gate.set()
    await waiting
    assert (bench.event.at, bench.event.took_seconds) == (NOW - 3600, 0.25)


async def test_the_event_of_a_denied_token_names_its_subject() -> None:
    """Who was denied is worth knowing."""
    bench = Bench(policy=policy(rule(alternatives=(frozenset({"admin"}),))), resolver=StubResolver({"good": READER}))
    await bench.check(request(token="good"))
    assert (bench.event.sub, bench.event.client_id, bench.event.level) == ("u1", "shop", "server")


@pytest.mark.shows("S8", "E31", "E76")
@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/orders/1?access_token=s3cr3t", "/orders/1"),
        ("/orders/1??s3cr3t", "/orders/1"),
        ("/nowhere?s3cr3t", "/nowhere"),
        ("//refused?s3cr3t", "//refused"),
        ("?s3cr3t", ""),
        ("/healthz?x=s3cr3t#y", "/healthz"),
    ],
)
async def test_the_event_has_no_query(target: str, path: str) -> None:
    """Queries carry secrets; the path stays as it was sent, so that a refused one can be understood."""
    bench = Bench()
    await bench.check(request(target=target))
    assert bench.event.path == path
    assert "s3cr3t" not in repr(bench.event)


@pytest.mark.shows("S34", "E76")
@pytest.mark.parametrize(
    "authorization", [("Bearer s3cr3t",), ("Bearer s3cr3t,",), ("Basic s3cr3t",), ("s3cr3t", "s3cr3t")]
)
async def test_the_event_has_no_credentials(authorization: tuple[str, ...]) -> None:
    """Nor has the request when it is printed."""
    bench = Bench()
    asked = request(authorization=authorization)
    await bench.check(asked)
    assert not re.search("s3cr3t", f"{bench.event} {asked}")


@pytest.mark.parametrize(
    ("asked", "needed"),
    [
        (request(token="good"), ("admin", "orders:read orders:write")),
        (request(), ("admin", "orders:read orders:write")),
        (request(token="good", added_scopes=("b", "admin")), ("admin b", "admin b orders:read orders:write")),
        (request(target="/nowhere"), ()),
    ],
)
async def test_the_event_has_the_scopes_that_would_have_done(asked: AuthRequest, needed: tuple[str, ...]) -> None:
    """Also where no token was looked at; with those that the gateway asks for on top."""
    alternatives = (frozenset({"admin"}), frozenset({"orders:write", "orders:read"}))
    bench = Bench(policy=policy(rule(alternatives=alternatives)))
    await bench.check(asked)
    assert bench.event.needed == needed


DEMANDS = Demands(
    claims=(ClaimRule(claim="tenant", values=("acme",)), ClaimRule(claim="plan", values=("gold",))),
    actors=frozenset({"a"}),
)


@pytest.mark.parametrize(
    ("state", "missing"),
    [
        (replace(active(), claims={"act": {"sub": "a"}, "tenant": "acme", "plan": "s3cr3t"}), ("claim: plan is gold",)),
        (replace(active(), claims={"tenant": "acme"}), ("act.sub: one of a",)),
        (replace(active(), claims={"act": {"sub": "a"}, "tenant": "acme", "plan": "gold"}), ()),
        (active("other"), ()),
        (Inactive(), ()),
    ],
)
@pytest.mark.parametrize("shadow", [False, True])
async def test_the_event_has_what_the_token_lacks_beside_scopes(
    state: TokenState, missing: tuple[str, ...], *, shadow: bool
) -> None:
    """In the words of the policy, so that its reader need not try each condition; also where a shadow let it pass."""
    bench = Bench(policy=policy(rule(demands=DEMANDS, shadow=shadow)), resolver=StubResolver({"t": state}))
    await bench.check(request(token="t"))
    assert bench.event.missing == missing


async def test_the_event_has_the_time_of_the_question_that_was_asked_for_it() -> None:
    bench = Bench(resolver=StubResolver({"good": READER}, took_seconds=0.02))
    await bench.check(request(token="good"))
    assert bench.event.asked_seconds == 0.02


class TestRecordable:
    """Where a decision that cannot be recorded must not be made."""

    @pytest.mark.parametrize(("asked", "state", "reason"), CHECKS.values(), ids=CHECKS)
    async def test_nobody_passes_while_it_is_not(self, asked: AuthRequest, state: TokenState, reason: Reason) -> None:
        """Whatever the answer would have been, it is a 503; and then it is what it was before."""
        bench = Bench(resolver=StubResolver({"t": state}))
        able = [False, True]
        authorizer = Authorizer(
            policy=bench.policy,
            resolver=bench.resolver,
            observer=bench.observer,
            wall=bench.wall,
            monotonic=bench.monotonic,
            decision_ids=str,
            recordable=lambda: able.pop(0),
        )
        decisions = [await authorizer.check(asked), await authorizer.check(asked)]
        assert [decision.reason for decision in decisions] == [Reason.AUDIT_UNAVAILABLE, reason]
        assert [event.decision for event in bench.observer.checks] == decisions
        assert decisions[0].rule == decisions[1].rule

    def test_it_is_no_outage(self) -> None:
        """With `on_outage: gateway` an outage is left to the gateway, which may let everybody pass."""
        assert Reason.AUDIT_UNAVAILABLE not in OUTAGES
