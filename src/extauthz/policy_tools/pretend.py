"""Tokens as they might be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from extauthz.core.introspection import Active, Inactive, TokenState
from extauthz.core.policy import Rule
from extauthz.core.scopes import lenient_scope

_LONG_AGO = 24 * 3600.0
"""Seconds; more than any `leeway`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pretended:
    """What is said about a token; nothing at all means that there is none.

    Attributes:
        scope: its scopes, separated by spaces.
        sub: whose it is.
        client_id: the client that it was issued to.
        aud: whom it is for; None leaves it to the route, so that it is never for the wrong one.
        iss: who issued it; None leaves it to the route likewise.
        claims: all other members of the authorization server's answer.
        inactive: the server calls it inactive.
        expired: its `exp` is long past.
    """

    scope: str | None = None
    sub: str | None = None
    client_id: str | None = None
    aud: tuple[str, ...] | None = None
    iss: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)
    inactive: bool = False
    expired: bool = False


def pretend(said: Pretended, rule: Rule | None, now: float) -> TokenState | None:
    """The state of such a token before that rule; None when there is no token."""
    if said == Pretended():
        return None
    if said.inactive:
        return Inactive()
    words = lenient_scope(said.scope or "")
    for_route = () if rule is None or not rule.audience else (rule.audience,)
    return Active(
        scopes=frozenset(words),
        scope=" ".join(words),
        sub=said.sub,
        client_id=said.client_id,
        aud=for_route if said.aud is None else said.aud,
        iss=said.iss or (None if rule is None else min(rule.issuers, default=None)),
        exp=now - _LONG_AGO if said.expired else None,
        claims=said.claims,
    )
