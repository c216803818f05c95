"""Made-up requests reach the rule that they are for, unless no request can."""

import pytest

from extauthz.core.paths import canonical_host, canonical_path
from extauthz.core.routes import RouteTable
from extauthz.policy_tools.samples import Samples
from extauthz.testing import rule

RULES = [
    rule(name="root", path="/"),
    rule(name="exact", path="/orders/1"),
    rule(name="parameter", path="/orders/{id}"),
    rule(name="deep", path="/orders/{id}/lines/{line}"),
    rule(name="rest", path="/orders/**"),
    rule(name="all", path="/**"),
    rule(name="host", path="/orders/{id}", host="api.example.com"),
    rule(name="below", path="/**", host="*.example.com"),
    rule(name="any-below", path="/x", host="any.test"),
]


@pytest.mark.parametrize("name", [each.name for each in RULES])
def test_one_of_the_places_reaches_the_rule(name: str) -> None:
    """Other rules stand in the way of some of them, never of all."""
    table, conflicts = RouteTable.build(RULES)
    assert not conflicts
    samples = Samples(RULES)
    places = samples.places(next(each for each in RULES if each.name == name))
    found = [table.match("GET", *place) for place in places]
    assert name in {each.name for each in found if each is not None}


def test_places_are_as_the_engine_spells_them() -> None:
    """Canonical, so that they can be looked up without another word."""
    for place in Samples(RULES).all_places():
        assert canonical_path(place.path) == place.path
        assert canonical_host(place.host) == place.host


def test_methods_are_the_common_ones_the_listed_ones_and_one_that_nobody_lists() -> None:
    """A rule without methods takes that one too."""
    assert Samples([rule(name="a", methods=("PURGE",))]).methods[-2:] == ("PURGE", "TRACE")
