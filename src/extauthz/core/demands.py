"""What a route can ask of a token beside scopes: a client, authorization details (RFC 9396), an actor (RFC 8693), claims."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from extauthz.core.claims import ClaimRule
from extauthz.core.decision import Reason
from extauthz.core.introspection import Active


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailsRule:
    """What one element of `authorization_details` must have: this type, and all of these actions and locations.

    It has to be one element: two that have half of it each were granted for two purposes.
    """

    type: str
    actions: frozenset[str] = frozenset()
    locations: frozenset[str] = frozenset()

    def granted_by(self, element: Mapping[str, Any]) -> bool:
        """Whether the element grants it. What is not a list of texts is as good as absent."""
        return (
            element.get("type") == self.type
            and self.actions <= _texts(element.get("actions"))
            and self.locations <= _texts(element.get("locations"))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Demands:
    """All of it must hold.

    Attributes:
        clients: the `client_id` of the token is one of these (RFC 7662 §2.2); empty asks for no client.
        details: each is granted by one element of `authorization_details`.
        actors: the `sub` of the outermost `act` is one of these; empty asks for no actor.
        subject: the token names a subject.
        claims: conditions on single claims.
    """

    clients: frozenset[str] = frozenset()
    details: tuple[DetailsRule, ...] = ()
    actors: frozenset[str] = frozenset()
    subject: bool = False
    claims: tuple[ClaimRule, ...] = ()

    def refusal(self, token: Active) -> Reason | None:
        """What the token lacks, or None."""
        if self.clients and token.client_id not in self.clients:
            return Reason.WRONG_CLIENT
        refusal = _ungranted(self.details, token) if self.details else None
        if refusal is not None:
            return refusal
        if self.actors and _actor(token.claims) not in self.actors:
            return Reason.WRONG_ACTOR
        if self.subject and not token.sub:
            return Reason.NO_SUBJECT
        return None if all(rule.met_by(token) for rule in self.claims) else Reason.WRONG_CLAIM


def _ungranted(details: tuple[DetailsRule, ...], token: Active) -> Reason | None:
    elements = token.claims.get("authorization_details", [])
    if not isinstance(elements, list):
        return Reason.SERVER_ANSWER_INVALID
    objects = [element for element in elements if isinstance(element, Mapping)]
    granted = all(any(rule.granted_by(one) for one in objects) for rule in details)
    return None if granted else Reason.INSUFFICIENT_DETAILS


def _actor(claims: Mapping[str, Any]) -> str | None:
    """The party that acts now. Those inside it acted before, and `may_act` says who might (RFC 8693 §4.1, §4.4)."""
    act = claims.get("act")
    name = act.get("sub") if isinstance(act, Mapping) else None
    return name if isinstance(name, str) else None


def _texts(value: object) -> frozenset[str]:
    return frozenset(one for one in value if isinstance(one, str)) if isinstance(value, list) else frozenset()
