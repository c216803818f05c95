"""Named sets of scopes stand for their words, and lead neither nowhere nor in a circle."""

import pytest

from extauthz.config.judge import Judged, judge_policy
from extauthz.config.yaml_source import read_yaml

HEAD = """\
version: 1
scope_sets:
  readers: [orders:read, items:read]
  editors: [orders:write, {set: readers}]
routes:
"""


def judged(text: str) -> Judged:
    """What becomes of a policy file."""
    return judge_policy(read_yaml(text.encode(), "policy.yaml"), {}, ())


def told(text: str) -> list[str]:
    """Its faults, each with its place."""
    return [f"{fault.line}:{fault.column}: {fault.message}" for fault in judged(text).faults]


@pytest.mark.parametrize(
    ("scopes", "alternatives"),
    [
        ("[{set: readers}]", [{"orders:read", "items:read"}]),
        ("[{set: editors}, admin]", [{"orders:write", "orders:read", "items:read", "admin"}]),
        ("[orders:read, {set: readers}]", [{"orders:read", "items:read"}]),
        ("{any_of: [[admin], [{set: readers}]]}", [{"admin"}, {"orders:read", "items:read"}]),
    ],
)
def test_a_set_stands_for_its_words(scopes: str, alternatives: list[set[str]]) -> None:
    """Those of the sets in it too."""
    snapshot = judged(f"{HEAD}  - {{name: r, path: /r, scopes: {scopes}}}").snapshot
    assert snapshot is not None
    assert [*snapshot.routes.rules[0].alternatives] == alternatives


def test_the_challenge_names_the_words_in_the_order_of_the_file() -> None:
    """Each once."""
    snapshot = judged(f"{HEAD}  - {{name: r, path: /r, scopes: [{{set: editors}}, items:read, admin]}}").snapshot
    assert snapshot is not None
    assert snapshot.routes.rules[0].challenge_scope == ("orders:write", "orders:read", "items:read", "admin")


def test_a_route_that_asks_for_an_unknown_set_is_a_fault() -> None:
    """In a list of its own and in an alternative, with what was probably meant."""
    text = f"{HEAD}  - {{name: r, path: /r, scopes: {{any_of: [[{{set: reader}}]]}}}}"
    (fault,) = judged(text).faults
    assert (fault.line, fault.hint) == (6, "readers")
    assert fault.message == "scope_sets: has no set of this name; there is editors, readers"


def test_a_set_is_written_into_a_list() -> None:
    """Whoever writes it in the place of the list is told."""
    (fault,) = judged(f"{HEAD}  - {{name: r, path: /r, scopes: {{set: readers}}}}").faults
    assert (fault.line, fault.message, fault.hint) == (6, "a set is an entry of a list", "[{set: readers}]")


def test_a_set_that_names_an_unknown_one_is_a_fault() -> None:
    """At its place among the sets."""
    text = "version: 1\nscope_sets:\n  a: [x, {set: b}]\nroutes: [{name: r, path: /r, scopes: [{set: a}]}]"
    assert told(text) == ["3:16: scope_sets: has no set of this name; there is a"]


@pytest.mark.parametrize("sets", ["{a: [{set: a}]}", "{a: [x, {set: b}], b: [{set: c}], c: [{set: a}]}"])
def test_a_set_in_itself_is_a_fault(sets: str) -> None:
    """Directly or by way of others: for each set of the circle."""
    found = told(f"version: 1\nscope_sets: {sets}\nroutes: [{{name: r, path: /r, scopes: []}}]")
    assert len(found) == sets.count(": [")
    assert all("stands in itself, directly or by way of others" in each for each in found)


def test_a_set_without_scopes_is_a_fault() -> None:
    """A route that asks for it would let every valid token pass."""
    (found,) = told("version: 1\nscope_sets: {a: []}\nroutes: [{name: r, path: /r, scopes: [{set: a}]}]")
    assert "an empty list here lets every valid token pass" in found


def test_a_list_is_too_long_by_its_sets() -> None:
    """What is in a challenge is measured with the sets unfolded."""
    sets = ", ".join(f"s{one}: [{'x' * 400}{one}]" for one in range(3))
    head = f"version: 1\nscope_sets: {{{sets}}}\nroutes: [{{name: r, path: /r, scopes: "
    assert not told(f"{head}[{{set: s0}}, {{set: s1}}]}}]")
    (found,) = told(f"{head}[{{set: s0}}, {{set: s1}}, {{set: s2}}]}}]")
    assert "at most 1024 characters together" in found


def test_many_ways_to_the_same_set_cost_one_look_at_it() -> None:
    """Two sets on each of 60 levels, each of which has both of the next: 2**60 ways."""
    levels = [
        f"  {name}{level}: [{{set: a{level + 1}}}, {{set: b{level + 1}}}]" for level in range(60) for name in "ab"
    ]
    text = "\n".join(["version: 1", "scope_sets:", *levels, "  a60: [x]", "  b60: [y]"])
    snapshot = judged(f"{text}\nroutes: [{{name: r, path: /r, scopes: [{{set: a0}}]}}]").snapshot
    assert snapshot is not None
    assert snapshot.routes.rules[0].alternatives == (frozenset("xy"),)
