"""One generation of the policy: read once at the start of a check and handed down, so no check sees two."""

from dataclasses import dataclass

from extauthz.core.routes import RouteTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A compiled policy.

    Attributes:
        routes: its rules.
        generation: counts up from 1 with each one that took effect.
        candidate: a policy that is tried out beside this one, and decides nothing.
    """

    routes: RouteTable
    generation: int = 1
    candidate: "Snapshot | None" = None
