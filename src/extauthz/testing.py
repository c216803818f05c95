"""Fakes for tests, ours and yours: a request builder, a clock that you tick, a resolver from a table, an observer that remembers.

Nothing here opens a socket, reads a clock or sleeps.
"""

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypedDict, Unpack

from extauthz.authorizer import Authorizer
from extauthz.core.decision import Decision, Reason
from extauthz.core.demands import Demands
from extauthz.core.identity import IdentityHeaders
from extauthz.core.introspection import Active, Inactive, Resolution, TokenState
from extauthz.core.pattern import Pattern
from extauthz.core.policy import Rule
from extauthz.core.request import AuthRequest
from extauthz.core.routes import RouteTable
from extauthz.core.scopes import Implications, lenient_scope
from extauthz.core.snapshot import Snapshot
from extauthz.core.terms import Terms
from extauthz.core.token import Token
from extauthz.observe.events import Checked, Happened, Introspected

SUB_AND_SCOPE = IdentityHeaders.of({"x-auth-sub": "sub", "x-auth-scope": "scope"})
"""The identity headers of `rule()` unless told otherwise."""


class RequestFields(TypedDict, total=False):
    """What `request` can override."""

    door: str
    host: str
    authorization: tuple[str, ...]
    request_id: str
    added_scopes: tuple[str, ...]
    patience: float | None
    source: str
    flaw: Reason | None
    preflight: str
    trace: str
    route: str | None


def request(
    method: str = "GET",
    target: str = "/orders/1",
    token: str | None = None,
    **overrides: Unpack[RequestFields],
) -> AuthRequest:
    """A request as a gateway asks about it. `token` is sent as one Bearer header; `authorization` replaces it."""
    fields: RequestFields = {
        "door": "envoy",
        "host": "api.example.com",
        "authorization": () if token is None else (f"Bearer {token}",),
    }
    fields |= overrides
    return AuthRequest(method=method, target=target, **fields)


class RuleFields(TypedDict, total=False):
    """What `rule` can override."""

    name: str
    path: str
    methods: tuple[str, ...]
    where: tuple[tuple[str, Pattern], ...]
    host: str
    anonymous: bool
    shadow: bool
    preflight: bool
    alternatives: tuple[frozenset[str], ...]
    implications: Implications
    demands: Demands | None
    audience: str
    issuers: frozenset[str]
    authorization_server: str
    max_age: float | None
    patience: float | None
    max_stale: float | None
    leeway: float
    edge_cache: int
    identity: IdentityHeaders
    realm: str
    challenge_scope: tuple[str, ...]


def rule(**overrides: Unpack[RuleFields]) -> Rule:
    """A rule for `/orders/**` that needs `orders:read` and forwards `sub` and `scope`."""
    fields: RuleFields = {
        "name": "orders",
        "path": "/orders/**",
        "alternatives": (frozenset({"orders:read"}),),
        "authorization_server": "main",
        "identity": SUB_AND_SCOPE,
        "challenge_scope": ("orders:read",),
    }
    fields |= overrides
    return Rule(**fields)


def policy(*rules: Rule) -> Snapshot:
    """A policy of these rules.

    Raises:
        ValueError: when two of them decide the same request.
    """
    routes, conflicts = RouteTable.build(rules)
    if conflicts:
        raise ValueError(f"rules {conflicts[0].first.name} and {conflicts[0].second.name} tie")
    return Snapshot(routes=routes)


class ActiveFields(TypedDict, total=False):
    """What `active` can override."""

    sub: str | None
    client_id: str | None
    username: str | None
    iss: str | None
    jti: str | None
    aud: tuple[str, ...]
    exp: float | None
    nbf: float | None


def active(scope: str = "orders:read", **overrides: Unpack[ActiveFields]) -> Active:
    """A live token of the subject `u1` with these scopes."""
    words = lenient_scope(scope)
    fields: ActiveFields = {"sub": "u1"}
    fields |= overrides
    return Active(scopes=frozenset(words), scope=" ".join(words), **fields)


class TickingClock:
    """A clock that stands still until it is told to advance. Seconds."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """The time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass; a negative number sets the clock back."""
        self.now += seconds


class Asked(NamedTuple):
    """One question to a `StubResolver`."""

    server: str
    token: Token
    terms: Terms


class StubResolver:
    """A resolver that knows its tokens from a table; any other token is inactive.

    Attributes:
        states: token text to state.
        remembered: likewise, for tokens that are known without waiting.
        level: where the answers claim to come from.
        fresh_until: monotonic seconds that every answer carries.
        asked_at: likewise.
        took_seconds: how long every answer claims to have taken.
        fault: raised instead of an answer, when set.
        gate: awaited before every answer, when set.
        asked: every question so far.
    """

    def __init__(
        self,
        states: Mapping[str, TokenState] | None = None,
        *,
        level: str = "server",
        fresh_until: float = 0.0,
        asked_at: float = float("-inf"),
        took_seconds: float = 0.0,
        fault: Exception | None = None,
        gate: asyncio.Event | None = None,
    ) -> None:
        self.states: dict[str, TokenState] = dict(states or {})
        self.remembered: dict[str, TokenState] = {}
        self.level = level
        self.fresh_until = fresh_until
        self.asked_at = asked_at
        self.took_seconds = took_seconds
        self.fault = fault
        self.gate = gate
        self.asked: list[Asked] = []

    @property
    def calls(self) -> int:
        """How many questions were asked."""
        return len(self.asked)

    def known(self, server: str, token: Token, max_age: float | None) -> Resolution | None:  # noqa: ARG002 - a table has one server
        """The answer from `remembered`, if there; a question that is answered here is not one of `asked`."""
        state = self.remembered.get(token.reveal())
        return None if state is None else Resolution(state=state, level="memory", fresh_until=self.fresh_until)

    async def resolve(self, server: str, token: Token, terms: Terms) -> Resolution:
        """Answer from the table, after the gate and unless there is a fault."""
        self.asked.append(Asked(server, token, terms))
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        state = self.states.get(token.reveal(), Inactive())
        return Resolution(
            state=state,
            level=self.level,
            fresh_until=self.fresh_until,
            asked_at=self.asked_at,
            took_seconds=self.took_seconds,
        )


class RecordingObserver:
    """An observer that keeps every event, in order."""

    def __init__(self) -> None:
        self.checks: list[Checked] = []
        self.introspections: list[Introspected] = []
        self.happenings: list[Happened] = []

    def checked(self, event: Checked) -> None:
        """Keep it."""
        self.checks.append(event)

    def introspected(self, event: Introspected) -> None:
        """Keep it."""
        self.introspections.append(event)

    def happened(self, event: Happened) -> None:
        """Keep it."""
        self.happenings.append(event)


@dataclass(kw_only=True)
class Bench:
    """An authorizer and everything around it, faked: one rule for `/orders/**`, one good token called `good`."""

    policy: Snapshot = field(default_factory=lambda: policy(rule()))
    resolver: StubResolver = field(default_factory=lambda: StubResolver({"good": active()}))
    observer: RecordingObserver = field(default_factory=RecordingObserver)
    wall: TickingClock = field(default_factory=TickingClock)
    monotonic: TickingClock = field(default_factory=lambda: TickingClock(1000.0))
    authorizer: Authorizer = field(init=False)

    def __post_init__(self) -> None:
        self.authorizer = Authorizer(
            policy=self.policy,
            resolver=self.resolver,
            observer=self.observer,
            wall=self.wall,
            monotonic=self.monotonic,
            decision_ids=map(str, itertools.count(1)).__next__,
        )

    async def check(self, asked: AuthRequest) -> Decision:
        """The authorizer's answer."""
        return await self.authorizer.check(asked)

    @property
    def event(self) -> Checked:
        """What was reported about the last check."""
        return self.observer.checks[-1]
