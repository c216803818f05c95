"""Routes become the rules that the core decides by."""

from typing import Any

import pytest

from extauthz.config.compile import Policy, Tie, compile_policy, servers_for
from extauthz.config.policy_schema import Defaults, RouteEntry
from extauthz.config.service_schema import AuthorizationServer
from extauthz.core.demands import Demands, DetailsRule
from extauthz.core.identity import IdentityHeaders
from extauthz.core.policy import Rule

SERVER = AuthorizationServer.model_validate(
    {
        "introspection_endpoint": "https://as.example.com/introspect",
        "client": {"id": "gateway", "secret": {"env": "CLIENT_SECRET"}},
        "leeway": "30s",
    }
)
DEFAULTS = Defaults(authorization_server="main", audience="https://api.example.com", identity_headers={"x-me": "sub"})


def route(**keys: Any) -> RouteEntry:  # noqa: ANN401 - as a file has it
    """A route as it is written, with a name and a path."""
    return RouteEntry.model_validate({"name": "r", "path": "/r", **keys})


def compiled(entry: RouteEntry, defaults: Defaults = DEFAULTS) -> Rule:
    """The rule of the only route."""
    policy = Policy(entries=((0, entry),), defaults=defaults, realm="orders")
    snapshot, ties = compile_policy(policy, {"main": SERVER})
    assert ties == ()
    return snapshot.routes.rules[0]


def test_a_rule_has_what_route_defaults_and_server_say() -> None:
    """Everything that is written arrives."""
    rule = compiled(route(methods=["GET"], host="API.example.com", scopes=["b", "a"], edge_cache="5s"))
    assert (rule.name, rule.path, rule.methods, rule.host) == ("r", "/r", ("GET",), "api.example.com")
    assert (rule.audience, rule.authorization_server) == ("https://api.example.com", "main")
    assert (rule.leeway, rule.realm, rule.edge_cache, rule.max_age) == (30.0, "orders", 5, None)
    assert rule.identity == IdentityHeaders.of({"x-me": "sub"})
    assert not rule.anonymous


def test_a_list_of_scopes_is_one_alternative() -> None:
    """All of its words are needed, and the challenge names them in the order of the file."""
    rule = compiled(route(scopes=["b", "a"]))
    assert rule.alternatives == (frozenset({"a", "b"}),)
    assert rule.challenge_scope == ("b", "a")


def test_any_of_has_an_alternative_for_each_list() -> None:
    """The challenge names the first."""
    rule = compiled(route(scopes={"any_of": [["admin"], ["read", "write"]]}))
    assert rule.alternatives == (frozenset({"admin"}), frozenset({"read", "write"}))
    assert rule.challenge_scope == ("admin",)


def test_an_empty_list_lets_every_valid_token_pass() -> None:
    """One alternative that asks for nothing, not no alternative, which would deny all."""
    rule = compiled(route(scopes=[]))
    assert rule.alternatives == (frozenset(),)
    assert rule.challenge_scope == ()


@pytest.mark.shows("S33")
def test_freshness_is_the_age_that_an_answer_may_have() -> None:
    """Live means none, default leaves it to the cache."""
    ages = [compiled(route(scopes=[], freshness=text)).max_age for text in ("live", "default", "10s")]
    assert ages == [0.0, None, 10.0]


def test_a_route_has_its_own_limits_for_trouble() -> None:
    """None leaves them to the server."""
    rule = compiled(route(scopes=[], timeout="200ms", stale_if_error="30s"))
    assert (rule.patience, rule.max_stale) == (0.2, 30.0)
    rule = compiled(route(scopes=[]))
    assert (rule.patience, rule.max_stale) == (None, None)
    assert compiled(route(scopes=[], stale_if_error="0s", freshness="live")).max_stale == 0.0


def test_a_route_overrides_the_defaults() -> None:
    """What is nearer counts."""
    rule = compiled(route(scopes=[], audience="urn:mine", authorization_server="main"), Defaults(audience="urn:all"))
    assert (rule.audience, rule.authorization_server) == ("urn:mine", "main")


@pytest.mark.shows("S47", "S49", "S51")
def test_demands_are_what_the_route_says() -> None:
    """And None where it says nothing."""
    details = [{"type": "payment", "actions": ["initiate"]}, {"type": "account", "locations": ["https://a.example"]}]
    rule = compiled(route(scopes=[], authorization_details=details, actors=["a", "b"], require_sub=True))
    assert rule.demands == Demands(
        details=(
            DetailsRule(type="payment", actions=frozenset({"initiate"})),
            DetailsRule(type="account", locations=frozenset({"https://a.example"})),
        ),
        actors=frozenset({"a", "b"}),
        subject=True,
    )
    assert compiled(route(scopes=[])).demands is None


def test_clients_and_issuers_arrive() -> None:
    """None of them is any."""
    rule = compiled(route(scopes=[], clients=["a", "b"], issuers=["i"]))
    assert (rule.demands, rule.issuers) == (Demands(clients=frozenset({"a", "b"})), frozenset({"i"}))
    assert compiled(route(scopes=[])).issuers == frozenset()


def test_a_public_route_asks_for_nothing() -> None:
    """No token, no server, no audience; yet the identity headers are known, so that they can be removed."""
    rule = compiled(route(allow="anonymous"))
    assert rule.anonymous
    assert (rule.alternatives, rule.audience, rule.authorization_server) == ((), "", "")
    assert rule.public.absent == ("x-me",)


def test_the_only_server_needs_no_naming() -> None:
    """With two of them there is no answer unless the file gives it."""
    assert servers_for(route(scopes=[]), Defaults(), ["main"]) == ("main",)
    assert servers_for(route(scopes=[]), Defaults(), ["main", "other"]) == ()
    assert servers_for(route(scopes=[]), Defaults(authorization_server="other"), ["main", "other"]) == ("other",)
    assert servers_for(route(allow="anonymous"), Defaults(), ["main"]) == ()


def test_a_route_can_have_several_servers() -> None:
    """The rule names them all, and grants the smallest leeway of any of them."""
    defaults = Defaults(authorization_server=("main", "other"))
    policy = Policy(entries=((0, route(scopes=[])),), defaults=defaults, realm="api")
    servers = {"main": SERVER, "other": SERVER.model_copy(update={"leeway": 10.0})}
    snapshot, _ = compile_policy(policy, servers)
    (rule,) = snapshot.routes.rules
    assert (rule.authorization_server, rule.leeway) == ("main other", 10.0)


def test_ties_name_the_routes_by_their_place_in_the_file() -> None:
    """Also when routes before them were left out."""
    entries = ((3, route(name="a", scopes=[])), (5, route(name="b", scopes=[], methods=["GET"])))
    _, ties = compile_policy(Policy(entries=entries, defaults=DEFAULTS, realm="api"), {"main": SERVER})
    assert ties == (Tie(first=3, second=5, methods=("GET",)),)
