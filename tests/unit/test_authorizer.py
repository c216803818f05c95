"""One request, one decision: nothing is asked that need not be, and nothing that breaks lets a request pass."""

import asyncio
from typing import cast

import pytest

from extauthz.core.challenge import challenge
from extauthz.core.decision import Allow, Deny, Reason
from extauthz.core.introspection import Inactive, TokenState, Unavailable
from extauthz.core.policy import Rule
from extauthz.core.request import AuthRequest
from extauthz.core.terms import Terms
from extauthz.core.token import Token
from extauthz.testing import Asked, Bench, StubResolver, active, policy, request, rule

NOW = 1_700_000_000.0
API = "https://api.example.com"
READER = active("orders:read", sub="u1", client_id="shop", exp=NOW + 300)
PUBLIC = rule(name="health", path="/healthz", anonymous=True)
MALFORMED = Reason.MALFORMED_CREDENTIALS
SEVERAL = Reason.SEVERAL_CREDENTIALS


def bench_of(*rules: Rule, gate: asyncio.Event | None = None, **states: TokenState) -> Bench:
    """A bench whose policy has these rules, and whose resolver knows these tokens and waits at this gate."""
    resolver = StubResolver(states or {"good": READER}, gate=gate)
    return Bench(policy=policy(*(rules or (rule(), PUBLIC))), resolver=resolver)


async def test_a_good_token_passes_with_its_identity() -> None:
    """The whole way, once."""
    bench = bench_of()
    assert await bench.check(request(token="good")) == Allow(
        reason=Reason.ALLOWED,
        rule="orders",
        identity=(("x-auth-sub", "u1"), ("x-auth-scope", "orders:read")),
        absent=(),
    )
    assert bench.resolver.calls == 1


@pytest.mark.shows("S50", "E16")
async def test_a_public_route_passes_without_identity_and_without_a_question() -> None:
    """And tells the gateway to remove whatever identity the client claimed."""
    bench = bench_of()
    assert await bench.check(request(target="/healthz")) == Allow(
        reason=Reason.PUBLIC, rule="health", identity=(), absent=("x-auth-sub", "x-auth-scope")
    )
    assert bench.resolver.calls == 0


async def test_the_resolver_is_asked_what_the_rule_says() -> None:
    """The rule's server, the token itself and how old an answer may be; whose token it is, and in which trace."""
    bench = bench_of(rule(authorization_server="partner", max_age=0.0))
    await bench.check(request(token="good", source="10.0.0.7", trace="00-a-b-01"))
    assert bench.resolver.asked == [Asked("partner", Token("good"), Terms(0.0, address="10.0.0.7", trace="00-a-b-01"))]


@pytest.mark.parametrize(
    ("gateway", "route", "patience"),
    [(None, None, None), (0.9, None, 0.9), (None, 0.2, 0.2), (0.9, 0.2, 0.2), (0.1, 0.2, 0.1)],
)
async def test_the_one_with_less_patience_counts(
    gateway: float | None, route: float | None, patience: float | None
) -> None:
    """Gateway or route; and the resolver learns how old an answer the route takes in an outage."""
    bench = bench_of(rule(patience=route, max_stale=30.0))
    await bench.check(request(token="good", patience=gateway))
    (asked,) = bench.resolver.asked
    assert (asked.terms.patience, asked.terms.max_stale) == (patience, 30.0)


async def test_a_token_that_is_known_without_waiting_costs_no_question() -> None:
    """It is judged like any other, and the record says where it came from."""
    bench = bench_of()
    bench.resolver.remembered = {"good": READER, "bad": Inactive()}
    assert (await bench.check(request(token="good"))).reason is Reason.ALLOWED
    assert (await bench.check(request(token="bad"))).reason is Reason.INACTIVE
    assert bench.event.level == "memory"
    assert bench.resolver.calls == 0


SHADOW = rule(shadow=True, edge_cache=5)
LETS_PASS = {
    "no token": (request(), Reason.NO_CREDENTIALS),
    "two tokens": (request(authorization=("Bearer good", "Bearer good")), SEVERAL),
    "a bad token": (request(token="bad"), Reason.INACTIVE),
    "a scope too few": (request(token="small"), Reason.INSUFFICIENT_SCOPE),
    "an outage": (request(token="busy"), Reason.SERVER_BUSY),
}


@pytest.mark.parametrize(("asked", "reason"), LETS_PASS.values(), ids=LETS_PASS)
async def test_a_shadow_rule_lets_pass_what_it_would_deny(asked: AuthRequest, reason: Reason) -> None:
    """As a public route does, without identity and from no cache, and tells the true reason."""
    busy = Unavailable(reason=Reason.SERVER_BUSY, detail="")
    bench = bench_of(SHADOW, good=READER, small=active("x"), busy=busy)
    assert await bench.check(asked) == Allow(
        reason=Reason.SHADOW, rule="orders", identity=(), absent=("x-auth-sub", "x-auth-scope"), shadow=reason
    )


async def test_a_shadow_rule_by_an_old_answer_is_a_shadow_all_the_same() -> None:
    """Its reason is not that of an allow."""
    bench = bench_of(SHADOW, small=active("x"))
    bench.resolver.level = "stale"
    assert (await bench.check(request(token="small"))).reason is Reason.SHADOW


async def test_a_shadow_rule_allows_what_it_would_allow_anyway() -> None:
    """With identity."""
    decision = await bench_of(SHADOW).check(request(token="good"))
    assert isinstance(decision, Allow)
    assert (decision.reason, decision.shadow) == (Reason.ALLOWED, None)
    assert decision.identity


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (request(target="/orders/../x"), Reason.BAD_PATH),
        (request(target="/nowhere"), Reason.NO_ROUTE),
        (request(added_scopes=("more",)), Reason.NO_CREDENTIALS),
        (request(token="good", added_scopes=("more",)), Reason.INSUFFICIENT_SCOPE),
        (request(flaw=Reason.BAD_METADATA), Reason.BAD_METADATA),
    ],
)
async def test_a_shadow_rule_is_no_excuse_for_what_is_not_its_own(asked: AuthRequest, reason: Reason) -> None:
    """What is refused before it is found, and scopes that the gateway adds."""
    decision = await bench_of(SHADOW).check(asked)
    assert isinstance(decision, Deny)
    assert decision.reason is reason


async def test_a_defect_under_a_shadow_rule_denies() -> None:
    """Nobody knows what it would have decided."""
    bench = bench_of(SHADOW)
    bench.resolver.fault = KeyError("x")
    assert (await bench.check(request(token="good"))).reason is Reason.INTERNAL


NO_QUESTION = {
    "refused method": (request("get", token="good"), Reason.BAD_METHOD, ""),
    "refused host": (request(token="good", host="a.com,b.com"), Reason.BAD_HOST, ""),
    "refused path": (request(target="/orders/../healthz", token="good"), Reason.BAD_PATH, ""),
    "refused path of a public route": (request(target="//healthz"), Reason.BAD_PATH, ""),
    "empty target": (request(target="", token="good"), Reason.BAD_PATH, ""),
    "no route": (request(target="/nowhere", token="good"), Reason.NO_ROUTE, ""),
    "no route in this case": (request(target="/Orders", token="good"), Reason.NO_ROUTE, ""),
    "no credentials": (request(), Reason.NO_CREDENTIALS, "orders"),
    "token in the query": (request(target="/orders?access_token=good"), Reason.NO_CREDENTIALS, "orders"),
    "another scheme": (request(authorization=("Basic Z29vZA==",)), Reason.UNSUPPORTED_SCHEME, "orders"),
    "malformed": (request(authorization=("Bearer good\n",)), MALFORMED, "orders"),
    "too long": (request(token="a" * 8193), MALFORMED, "orders"),
    "merged by a gateway": (request(authorization=("Bearer good,Bearer good",)), SEVERAL, "orders"),
    "sent twice": (request(authorization=("Bearer good", "Bearer good")), SEVERAL, "orders"),
    "flaw found by the door": (request(token="good", flaw=Reason.BAD_METADATA), Reason.BAD_METADATA, ""),
    "flaw on a public route": (request(target="/healthz", flaw=Reason.UNTRUSTED_PEER), Reason.UNTRUSTED_PEER, ""),
}


@pytest.mark.shows("S2", "S8", "S10", "S44", "S55", "E25", "E26", "E27", "E31", "E37", "E48", "N41", "N42")
@pytest.mark.parametrize(("asked", "reason", "name"), NO_QUESTION.values(), ids=NO_QUESTION)
async def test_what_is_wrong_with_the_request_costs_no_question(asked: AuthRequest, reason: Reason, name: str) -> None:
    """Junk never reaches the authorization server, and the denial names the rule where there is one."""
    bench = bench_of()
    denial = await bench.check(asked)
    assert denial == Deny(reason=reason, rule=name, challenge=challenge(reason, "api"))
    assert bench.resolver.calls == 0


@pytest.mark.shows("S8")
@pytest.mark.parametrize("query", ["access_token=bad", "access_token=good", "access_token=a&access_token=b"])
async def test_a_token_in_the_query_is_no_second_one(query: str) -> None:
    """It is not counted: the one in the header decides, and nobody is asked about another."""
    bench = bench_of()
    assert (await bench.check(request(target=f"/orders/1?{query}", token="good"))).reason is Reason.ALLOWED
    assert [asked.token for asked in bench.resolver.asked] == [Token("good")]


@pytest.mark.parametrize("authorization", [(), ("Bearer good",), ("Bearer \x00",), ("Bearer a,Bearer b",), ("x", "y")])
async def test_a_public_route_does_not_look_at_credentials(authorization: tuple[str, ...]) -> None:
    """Broken ones are as good as none."""
    decision = await bench_of().check(request(target="/healthz", authorization=authorization))
    assert decision.reason is Reason.PUBLIC


LIVE = active(aud=(API,))
EVERYTHING_WRONG = active("", sub="\n", exp=NOW - 1)

ORDER = {
    "flaw before method": (request("get", "//", host="@", flaw=Reason.BAD_METADATA), LIVE, Reason.BAD_METADATA),
    "method before host": (request("get", "//", host="@"), LIVE, Reason.BAD_METHOD),
    "host before path": (request("GET", "//", host="@"), LIVE, Reason.BAD_HOST),
    "path before route": (request("GET", "//nowhere", authorization=("Bearer",)), LIVE, Reason.BAD_PATH),
    "route before credentials": (request("GET", "/nowhere", authorization=("Bearer",)), LIVE, Reason.NO_ROUTE),
    "credentials before token": (request(authorization=("Bearer",)), EVERYTHING_WRONG, MALFORMED),
    "server before validity": (
        request(token="t"),
        Unavailable(reason=Reason.SERVER_ERROR, detail=""),
        Reason.SERVER_ERROR,
    ),
    "state before validity": (request(token="t"), Inactive(), Reason.INACTIVE),
    "validity before audience": (request(token="t"), EVERYTHING_WRONG, Reason.EXPIRED),
    "audience before scope": (request(token="t"), active("", sub="\n"), Reason.WRONG_AUDIENCE),
    "scope before identity": (request(token="t"), active("", sub="\n", aud=(API,)), Reason.INSUFFICIENT_SCOPE),
    "identity last": (request(token="t"), active(sub="\n", aud=(API,)), Reason.IDENTITY_NOT_FORWARDABLE),
    "nothing wrong": (request(token="t"), LIVE, Reason.ALLOWED),
}


@pytest.mark.parametrize(("asked", "state", "reason"), ORDER.values(), ids=ORDER)
async def test_the_first_fault_in_the_fixed_order_decides(
    asked: AuthRequest, state: TokenState, reason: Reason
) -> None:
    """Path, route, credentials, validity, audience, scope: one request has one answer."""
    bench = bench_of(rule(audience=API), t=state)
    assert (await bench.check(asked)).reason is reason


@pytest.mark.shows("E52")
@pytest.mark.parametrize(("host", "reason"), [("", Reason.BAD_HOST), ("api.example.com:443", Reason.ALLOWED)])
async def test_a_missing_host_matters_only_to_a_policy_with_hosts(host: str, reason: Reason) -> None:
    """Where no rule names a host, a gateway need not send one."""
    named = await bench_of(rule(host="api.example.com")).check(request(token="good", host=host))
    unnamed = await bench_of(rule()).check(request(token="good", host=host))
    assert (named.reason, unnamed.reason) == (reason, Reason.ALLOWED)


async def test_the_policy_is_read_once() -> None:
    """A policy that is swapped in while a check waits decides the next check, not this one."""
    gate = asyncio.Event()
    bench = bench_of(gate=gate)
    waiting = asyncio.create_task(bench.check(request(token="good")))
    await asyncio.sleep(0)
    bench.authorizer.policy = policy(rule(name="closed", alternatives=()))
    gate.set()
    assert (await waiting).reason is Reason.ALLOWED
    assert (await bench.check(request(token="good"))).reason is Reason.INSUFFICIENT_SCOPE


@pytest.mark.shows("S32")
async def test_the_clock_is_read_after_the_answer_came() -> None:
    """A token that expired while the server was thinking does not pass."""
    gate = asyncio.Event()
    bench = bench_of(gate=gate)
    waiting = asyncio.create_task(bench.check(request(token="good")))
    await asyncio.sleep(0)
    bench.wall.advance(300)
    gate.set()
    assert (await waiting).reason is Reason.EXPIRED


async def test_concurrent_checks_do_not_mix() -> None:
    """Each gets the answer about its own token."""
    gate = asyncio.Event()
    states: dict[str, TokenState] = {name: active(sub=name) for name in ("a", "b", "c")}
    bench = bench_of(gate=gate, **states)
    checks = [asyncio.create_task(bench.authorizer.check(request(token=name))) for name in states]
    await asyncio.sleep(0)
    gate.set()
    allows = [allow for allow in await asyncio.gather(*checks) if isinstance(allow, Allow)]
    assert [dict(allow.identity)["x-auth-sub"] for allow in allows] == ["a", "b", "c"]


OPEN = rule(name="open", path="/open", methods=("GET", "POST"), preflight=True)
CLOSED = rule(name="closed", path="/closed", methods=("GET", "OPTIONS"))
PREFLIGHTS = {
    "for a listed method": ("/open", "POST", Reason.PUBLIC),
    "for a method that is not listed": ("/open", "DELETE", Reason.NO_ROUTE),
    "OPTIONS alone": ("/open", "", Reason.NO_ROUTE),
    "where the route lets none through": ("/closed", "GET", Reason.NO_CREDENTIALS),
    "for a method that is not listed there": ("/closed", "POST", Reason.NO_CREDENTIALS),
    "OPTIONS alone there": ("/closed", "", Reason.NO_CREDENTIALS),
    "where there is no route": ("/nowhere", "GET", Reason.NO_ROUTE),
    "on a path with two meanings": ("/open/../open", "GET", Reason.BAD_PATH),
}


@pytest.mark.shows("S60", "E43", "N65")
@pytest.mark.parametrize(("target", "announced", "reason"), PREFLIGHTS.values(), ids=PREFLIGHTS)
async def test_a_preflight_passes_where_the_route_of_what_follows_lets_it(
    target: str, announced: str, reason: Reason
) -> None:
    """By default OPTIONS is a method like any other."""
    bench = bench_of(OPEN, CLOSED)
    decision = await bench.check(request("OPTIONS", target, preflight=announced))
    assert decision.reason is reason
    assert bench.resolver.calls == 0
    if isinstance(decision, Allow):
        assert (decision.identity, decision.absent) == ((), ("x-auth-sub", "x-auth-scope"))


async def test_a_preflight_does_not_pass_where_the_gateway_asks_for_scopes() -> None:
    """It can only make more of what is needed."""
    decision = await bench_of(OPEN).check(request("OPTIONS", "/open", preflight="GET", added_scopes=("a",)))
    assert decision.reason is Reason.NO_ROUTE


@pytest.mark.shows("S11")
@pytest.mark.parametrize("one", [OPEN, CLOSED], ids=lambda one: one.name)
@pytest.mark.parametrize("token", [None, "good", "unknown"])
async def test_challenges_are_for_other_origins_where_preflights_pass(one: Rule, token: str | None) -> None:
    """A page that may send the request may learn why it was denied."""
    denial = await bench_of(OPEN, CLOSED, good=active("other")).check(request("GET", one.path, token=token))
    assert isinstance(denial, Deny)
    assert denial.cross_origin is one.preflight


NAMED = {
    "the route of another path": ("GET", "/closed", "open", Reason.NO_CREDENTIALS, "open"),
    "a path with two meanings": ("GET", "/x/../y", "open", Reason.NO_CREDENTIALS, "open"),
    "a method that it does not list": ("DELETE", "/open", "open", Reason.NO_ROUTE, ""),
    "a method that is none": ("get", "/open", "open", Reason.BAD_METHOD, ""),
    "an unknown name": ("GET", "/open", "opened", Reason.NO_ROUTE, ""),
    "an empty name": ("GET", "/open", "", Reason.NO_ROUTE, ""),
}


@pytest.mark.shows("N28")
@pytest.mark.parametrize(("method", "target", "name", "reason", "decided"), NAMED.values(), ids=NAMED)
async def test_a_route_that_is_named_decides_whatever_the_path(
    method: str, target: str, name: str, reason: Reason, decided: str
) -> None:
    """The gateway has matched already; there is no falling back to the path where it names nothing known."""
    decision = await bench_of(OPEN, CLOSED).check(request(method, target, route=name))
    assert (decision.reason, decision.rule) == (reason, decided)


async def test_a_named_route_does_not_make_up_for_a_flaw() -> None:
    """What cannot be believed in one thing is not believed in another."""
    decision = await bench_of(PUBLIC).check(request(route="health", flaw=Reason.BAD_METADATA))
    assert decision.reason is Reason.BAD_METADATA


class SecretError(Exception):
    """An exception whose text must not get out."""


INTERNAL = Deny(reason=Reason.INTERNAL)


@pytest.mark.shows("E5", "N16")
async def test_a_resolver_that_raises_is_a_500_and_named_by_type_only() -> None:
    """The gateway gets a denial, never an exception: its own failure mode might let the request pass."""
    bench = Bench(resolver=StubResolver(fault=SecretError("the secret is s3cr3t")))
    assert await bench.check(request(token="good")) == INTERNAL
    assert INTERNAL.outcome.status == 500
    assert bench.event.fault == "SecretError"
    assert "s3cr3t" not in repr(bench.event)


@pytest.mark.shows("E5", "N16")
async def test_a_fault_in_the_core_is_a_500_too() -> None:
    """For example a rule that was built with what is no number."""
    bench = bench_of(rule(leeway=cast("float", None)))
    assert await bench.check(request(token="good")) == INTERNAL
    assert bench.event.fault == "TypeError"


@pytest.mark.parametrize("flaw", [Reason.ALLOWED, Reason.PUBLIC])
async def test_a_flaw_that_is_no_reason_to_deny_denies(flaw: Reason) -> None:
    """A door's mistake cannot open the way."""
    assert await bench_of().check(request(target="/healthz", flaw=flaw)) == INTERNAL


async def test_a_check_after_a_fault_is_as_good_as_new() -> None:
    """Nothing sticks."""
    bench = bench_of()
    bench.resolver.fault = SecretError()
    await bench.check(request(token="good"))
    bench.resolver.fault = None
    assert (await bench.check(request(token="good"))).reason is Reason.ALLOWED
    assert bench.event.fault == ""


async def test_a_caller_that_goes_away_is_reported_and_stays_cancelled() -> None:
    """The audit line is written although nobody reads the answer."""
    bench = bench_of(gate=asyncio.Event())
    check = asyncio.create_task(bench.authorizer.check(request(token="good")))
    await asyncio.sleep(0)
    bench.monotonic.advance(2.5)
    check.cancel()
    with pytest.raises(asyncio.CancelledError):
        await check
    assert check.cancelled()
    [event] = bench.observer.checks
    assert (event.decision.reason, event.fault, event.took_seconds) == (Reason.ABANDONED, "", 2.5)


@pytest.mark.shows("O15", "O16", "S25", "S26")
@pytest.mark.parametrize("reason", [Reason.SERVER_TIMEOUT, Reason.SERVER_REFUSED_US, Reason.SERVER_ANSWER_INVALID])
async def test_trouble_at_the_server_is_503_without_challenge(reason: Reason) -> None:
    """A 401 would make clients throw good tokens away."""
    bench = bench_of(good=Unavailable(reason=reason, detail="s3cr3t", retry_after=7))
    denial = await bench.check(request(token="good"))
    assert denial == Deny(reason=reason, rule="orders", retry_after=7)
    assert "s3cr3t" not in repr(bench.event)


async def test_checks_that_wait_for_an_answer_are_counted() -> None:
    """Until they have it, or go away; those that need none never wait."""
    gate = asyncio.Event()
    bench = Bench(resolver=StubResolver({"good": active()}, gate=gate))
    await bench.check(request())
    waiting = [asyncio.create_task(bench.check(request(token="good"))) for _ in range(3)]
    await asyncio.sleep(0)
    assert bench.authorizer.waiting == 3
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    assert bench.authorizer.waiting == 2
    gate.set()
    await asyncio.gather(*waiting[1:])
    assert bench.authorizer.waiting == 0
