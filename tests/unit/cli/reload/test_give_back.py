"""A policy that was replaced leaves nothing behind."""

import gc
import weakref

from extauthz.cli.reload.give_back import AT_ONCE, give_back
from extauthz.core.decision import Reason
from extauthz.core.policy import Rule
from extauthz.core.routes import RouteTable
from extauthz.core.snapshot import Snapshot


class Watched(str):
    """A text whose end can be noticed."""

    __slots__ = ("__weakref__",)


def policy(routes: int) -> tuple[list[object], list["weakref.ref[Watched]"]]:
    names = [Watched(f"r{number}") for number in range(routes)]
    rules = [
        Rule(name=name, path=f"/{number}/{{id}}/x", alternatives=(frozenset(),)) for number, name in enumerate(names)
    ]
    table, _ = RouteTable.build(rules)
    _ = [rule.denials[Reason.INACTIVE] for rule in rules]  # rendered, as in use
    return [Snapshot(routes=table)], [weakref.ref(name) for name in names]


def test_all_of_it_goes_without_a_search_for_cycles() -> None:
    """Nothing in a policy leads back to what holds it."""
    gc.disable()
    try:
        held, names = policy(AT_ONCE + 1)
        give_back(held)
        assert held == []
        assert [name() for name in names if name() is not None] == []
    finally:
        gc.enable()


def test_what_somebody_else_holds_stays_whole() -> None:
    """A check in flight goes on with its rule."""
    held, names = policy(3)
    (snapshot,) = held
    assert isinstance(snapshot, Snapshot)
    rule = snapshot.routes.rules[1]
    del snapshot
    give_back(held)
    assert [name() for name in names] == [None, "r1", None]
    assert (rule.name, rule.denials[Reason.EXPIRED].reason) == ("r1", Reason.EXPIRED)
