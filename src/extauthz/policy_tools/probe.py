"""Tokens that tell two rules apart: what each of them asks for, completely and in part."""

from collections.abc import Iterator

from extauthz.core.demands import Demands
from extauthz.core.introspection import Active
from extauthz.core.policy import Rule

SUBJECT = "u1"


def fitting(rule: Rule, scopes: frozenset[str], *, sub: str | None = SUBJECT, client_id: str | None = None) -> Active:
    """A token with these scopes and all else that the rule asks for."""
    return Active(
        scopes=scopes,
        scope=" ".join(sorted(scopes)),
        sub=sub,
        client_id=client_id,
        aud=(rule.audience,) if rule.audience else (),
        claims=_claims(rule.demands or Demands()),
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
    if any(each.demands is not None for each in both):
        yield fitting(rule, every, sub=None)


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
