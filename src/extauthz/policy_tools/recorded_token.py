"""The token of a recorded request: the least that it had, and the best and the worst that it may have been for the new rule.

The line has its subject, client and scopes. Of what else the old rule asks for, the reason tells how far it looked and what
was refused, since the engine looks in one order. What the new rule asks for beyond that, nobody had looked at.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from extauthz.core.claims import ClaimRule
from extauthz.core.decision import Reason
from extauthz.core.demands import Demands, DetailsRule
from extauthz.core.identity import TOKEN_KIND
from extauthz.core.introspection import Active
from extauthz.core.policy import Rule
from extauthz.policy_tools.probe import fitting

_IN_THE_LINE = frozenset({"sub", "client_id", "scope", TOKEN_KIND})
"""Claims that are known from the line, whoever asks for them."""


class Asked(NamedTuple):
    """What a rule asks for beside scopes and a subject, in the order in which `core.policy` looks."""

    audience: str = ""
    issuers: frozenset[str] = frozenset()
    clients: frozenset[str] = frozenset()
    details: tuple[DetailsRule, ...] = ()
    actors: frozenset[str] = frozenset()
    claims: tuple[ClaimRule, ...] = ()


_NOTHING = Asked()._asdict()

_PASSED: Mapping[Reason, int] = {
    Reason.WRONG_AUDIENCE: 0,
    Reason.WRONG_ISSUER: 1,
    Reason.INSUFFICIENT_SCOPE: 2,
    Reason.WRONG_CLIENT: 2,
    Reason.INSUFFICIENT_DETAILS: 3,
    Reason.WRONG_ACTOR: 4,
    Reason.NO_SUBJECT: 5,
    Reason.WRONG_CLAIM: 5,
}
"""How much of it a token had that was refused for this reason; with any other, all."""

_REFUSED: Mapping[Reason, str] = {
    Reason.WRONG_AUDIENCE: "audience",
    Reason.WRONG_ISSUER: "issuers",
    Reason.INSUFFICIENT_DETAILS: "details",
    Reason.WRONG_ACTOR: "actors",
    Reason.WRONG_CLAIM: "claims",
}


def asked_by(rule: Rule) -> Asked:
    """All that the rule asks for."""
    demands = rule.demands or Demands()
    return Asked(rule.audience, rule.issuers, demands.clients, demands.details, demands.actors, demands.claims)


def least(rule: Rule, reason: Reason) -> Asked:
    """What the token had for certain, before the old rule."""
    asked = asked_by(rule)
    left = Asked._fields[_PASSED.get(reason, len(asked)) :]
    return asked._replace(**{name: _NOTHING[name] for name in left})


def most(rule: Rule, reason: Reason, new: Rule) -> Asked:
    """The same, and all that the new rule asks for and about which the line says nothing."""
    had, before, wanted = least(rule, reason), asked_by(rule), asked_by(new)
    refused = _REFUSED.get(reason, "")
    if refused and _refused_again(getattr(before, refused), getattr(wanted, refused)):
        wanted = wanted._replace(**{refused: getattr(had, refused)})
    known = _IN_THE_LINE | {each.claim for each in had.claims}
    guessed = tuple(each for each in wanted.claims if each.claim not in known)
    return Asked(
        audience=had.audience or wanted.audience,
        issuers=had.issuers & wanted.issuers or had.issuers or wanted.issuers,
        clients=had.clients,
        details=had.details or wanted.details,
        actors=had.actors & wanted.actors or had.actors or wanted.actors,
        claims=(*(_one_of(each, wanted.claims, named=True) for each in had.claims), *guessed),
    )


def worst(rule: Rule, reason: Reason, new: Rule) -> Asked:
    """What it had for certain; where that is one of several, one that the new rule does not name."""
    had, wanted = least(rule, reason), asked_by(new)
    return had._replace(
        issuers=had.issuers - wanted.issuers or had.issuers,
        actors=had.actors - wanted.actors or had.actors,
        claims=tuple(_one_of(each, wanted.claims, named=False) for each in had.claims),
    )


def _one_of(had: ClaimRule, wanted: tuple[ClaimRule, ...], *, named: bool) -> ClaimRule:
    """The condition with those of its values that are named there, or are not; with all if that leaves none."""
    theirs = [each.values for each in wanted if (each.claim, each.contains) == (had.claim, had.contains)]
    values = tuple(value for value in had.values if any(value in each for each in theirs) is named)
    return replace(had, values=values) if values else had


def _refused_again(before: object, wanted: object) -> bool:
    """Whether what was refused once is so for certain: of a tuple all is asked for, of a set one."""
    match before, wanted:
        case tuple(), tuple():
            return all(each in wanted for each in before)
        case frozenset(), frozenset():
            return wanted <= before
        case _:
            return before == wanted


def token(rule: Rule, had: Asked, scopes: frozenset[str], sub: str | None, client_id: str | None) -> Active:
    """A token that has this."""
    demands = Demands(clients=had.clients, details=had.details, actors=had.actors, claims=had.claims)
    stand_in = replace(rule, audience=had.audience, issuers=had.issuers, demands=demands)
    return fitting(stand_in, scopes, sub=sub, client_id=client_id)
