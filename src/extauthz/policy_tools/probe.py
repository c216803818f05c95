"""Tokens that tell two rules apart: what each of them asks for, completely and in part."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from extauthz.core.demands import Demands
from extauthz.core.introspection import Active
from extauthz.core.policy import Rule

SUBJECT = "u1"


def fitting(rule: Rule, scopes: frozenset[str], *, sub: str | None = SUBJECT, client_id: str | None = None) -> Active:
    """A token with these scopes and all else that the rule asks for."""
    demands = rule.demands or Demands()
    return Active(
        scopes=scopes,
        scope=" ".join(sorted(scopes)),
        sub=sub,
        client_id=client_id or min(demands.clients, default=None),
        iss=min(rule.issuers, default=None),
        aud=(rule.audience,) if rule.audience else (),
        claims=_claims(demands),
    )


def probes(old: Rule | None, new: Rule | None) -> list[Active]:
    """Tokens that may pass under one of the rules and not under the other."""
    found = [token for rule in (old, new) if rule is not None and not rule.anonymous for token in _for(rule, old, new)]
    return [token for index, token in enumerate(found) if token not in found[:index]]


def _for(rule: Rule, old: Rule | None, new: Rule | None) -> Iterator[Active]:
    both = [each for each in (old, new) if each is not None]
    wanted = [frozenset[str](), *(words for each in both for words in each.alternatives)]
    every = frozenset[str]().union(*wanted)
    implying = [
        frozenset({word})
        for each in both
        for word, implied in each.implications.items()
        if not every.isdisjoint(implied)
    ]
    for scopes in dict.fromkeys((*wanted, *implying)):
        yield fitting(rule, scopes)
    yield from _variants(fitting(rule, every), both)


def _variants(token: Active, rules: list[Rule]) -> Iterator[Active]:
    """The same token from every issuer, of every client and every actor that either rule names, and of none."""
    demanded = [rule.demands for rule in rules if rule.demands is not None]
    if any(demands.subject for demands in demanded):
        yield replace(token, sub=None)
    for iss in _and_none(rule.issuers for rule in rules):
        yield replace(token, iss=iss)
    for client_id in _and_none(demands.clients for demands in demanded):
        yield replace(token, client_id=client_id)
    for actor in _and_none(demands.actors for demands in demanded):
        yield replace(token, claims={**token.claims, "act": {"sub": actor}})


def _and_none(sets: Iterable[frozenset[str]]) -> list[str | None]:
    """All that the sets name, and None; nothing where they name nothing."""
    named = frozenset[str]().union(*sets)
    return [*sorted(named), None] if named else []


def _claims(demands: Demands) -> dict[str, object]:
    claims: dict[str, object] = {}
    if demands.actors:
        claims["act"] = {"sub": min(demands.actors)}
    if demands.details:
        claims["authorization_details"] = [
            {"type": each.type, "actions": sorted(each.actions), "locations": sorted(each.locations)}
            for each in demands.details
        ]
    return claims
