"""Tokens that tell two rules apart: what each of them asks for, completely and in part."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from extauthz.core.claims import ClaimRule
from extauthz.core.demands import Demands
from extauthz.core.identity import TOKEN_CLAIMS, TOKEN_KIND
from extauthz.core.introspection import Active
from extauthz.core.policy import Rule
from extauthz.policy_tools.texts import text_for

SUBJECT = "u1"


def fitting(rule: Rule, scopes: frozenset[str], *, sub: str | None = SUBJECT, client_id: str | None = None) -> Active:
    """A token with these scopes and all else that the rule asks for."""
    demands = rule.demands or Demands()
    token = Active(
        scopes=scopes,
        scope=" ".join(sorted(scopes)),
        sub=sub,
        client_id=client_id or min(demands.clients, default=None),
        iss=min(rule.issuers, default=None),
        aud=(rule.audience,) if rule.audience else (),
        claims=_claims(demands),
    )
    for each in demands.claims:
        token = token if each.met_by(token) else _with(token, each, _value(each))
    return token


def _value(rule: ClaimRule) -> object:
    """What meets the condition."""
    if rule.pattern is not None:
        return text_for(rule.pattern)
    return [rule.values[0]] if rule.contains else rule.values[0]


def _with(token: Active, rule: ClaimRule, value: object) -> Active:
    """The token with another value of the claim; None is to be without it."""
    if rule.claim == TOKEN_KIND:
        return replace(token, sub=SUBJECT if value == "user" else None)
    if rule.claim in TOKEN_CLAIMS:
        changed: dict[str, Any] = {rule.claim: value if isinstance(value, str) else None}
        return replace(token, **changed)
    before = token.claims.get(rule.claim)
    if isinstance(before, list) and isinstance(value, list):
        value = [*before, *value]  # a second list that the claim must contain
    return replace(token, claims={**token.claims, rule.claim: value})


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
    for each in (each for demands in demanded for each in demands.claims):
        found: tuple[object, ...] = each.values or (_value(each),)
        for value in (None, *found):
            yield _with(token, each, [value] if each.contains and value is not None else value)


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
