"""The whole service on one page: a request in, a decision out.

1. judge     method, host and path have one meaning, or the request is refused (400)
2. match     the most specific rule, or none: deny (403)
3. extract   the bearer token, or why there is none (401, 400); public routes look at nothing
4. resolve   what the token means: cache, or the authorization server; trouble there is 503, never 401
5. decide    validity, audience, scope, identity
6. report    one event, also when the caller has gone away
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from extauthz.core.bearer import extract
from extauthz.core.contrast import Contrast, Kind, difference
from extauthz.core.decision import Allow, Decision, Deny, Reason, deny, true_reason
from extauthz.core.introspection import Active, Resolution, TokenState
from extauthz.core.missing import missing
from extauthz.core.paths import canonical_host, canonical_path, known_method
from extauthz.core.policy import Rule, acted_upon, decide
from extauthz.core.request import AuthRequest
from extauthz.core.snapshot import Snapshot
from extauthz.core.terms import Terms
from extauthz.core.token import Token
from extauthz.observe.events import Checked, Observer

Clock = Callable[[], float]

ROUNDING_SECONDS = 1
"""NGINX counts whole seconds: what it may keep for N seconds, it keeps for up to N + 1."""

_INTERNAL = Deny(reason=Reason.INTERNAL)
_ABANDONED = Deny(reason=Reason.ABANDONED)
_DECISIONS = (Allow, Deny)


class TokenResolver(Protocol):
    """Knows what tokens mean. Must not raise: trouble is `Unavailable`."""

    def known(self, server: str, token: Token, max_age: float | None) -> Resolution | None:
        """The state of a token as it is remembered, no older than `max_age` seconds if given; None when one has to ask."""

    async def resolve(self, server: str, token: Token, terms: Terms) -> Resolution:
        """The state of a token that is not `known`, at the named authorization server. Cancelling it must not disturb others."""


class Authorizer:
    """Decides requests. `policy` may be replaced at any time by one assignment; a check in flight keeps its own.

    `recordable` says whether a decision can be recorded: if not, the answer is a denial; None does not ask.
    `waiting` counts the checks that wait to learn what a token means.
    """

    def __init__(
        self,
        *,
        policy: Snapshot,
        resolver: TokenResolver,
        observer: Observer,
        wall: Clock,
        monotonic: Clock,
        decision_ids: Callable[[], str],
        recordable: Callable[[], bool] | None = None,
    ) -> None:
        self.policy = policy
        self.waiting = 0
        self._resolver = resolver
        self._observer = observer
        self._wall = wall
        self._monotonic = monotonic
        self._decision_ids = decision_ids
        self._recordable = recordable

    async def check(self, request: AuthRequest) -> Decision:
        """Answer one request. Never raises, except that cancellation passes through."""
        return (await self.examine(request)).decision

    async def examine(self, request: AuthRequest) -> Checked:
        """Answer one request with all that is known about the answer, as the record has it."""
        started = self._monotonic()
        policy = self.policy
        decision: Decision = _INTERNAL
        resolution: Resolution | None = None
        server = ""
        fault = ""
        try:
            found = self._find(request, policy)
            if isinstance(found, _DECISIONS):
                decision = found
            else:
                rule, token = found
                server = rule.authorization_server
                resolution = self._resolver.known(server, token, rule.max_age)
                if resolution is None:
                    resolution = await self._resolve(request, rule, token)
                decision = self._conclude(rule, resolution, self._wall(), request.added_scopes)
        except asyncio.CancelledError:
            decision = _ABANDONED
            raise
        except Exception as error:  # noqa: BLE001 - whatever breaks, the gateway gets a denial and not its own failure mode
            fault = type(error).__name__
        finally:
            candidate = policy.candidate
            contrast = None if candidate is None else self._contrast(candidate, request, decision, resolution, server)
            event = self._report(request, decision, resolution, policy, started, fault=fault, contrast=contrast)
        return event

    async def _resolve(self, request: AuthRequest, rule: Rule, token: Token) -> Resolution:
        """Step 4, where it may take a while."""
        self.waiting += 1
        try:
            patience = _least(request.patience, rule.patience)
            terms = Terms(rule.max_age, rule.max_stale, patience, request.source, request.trace)
            return await self._resolver.resolve(rule.authorization_server, token, terms)
        finally:
            self.waiting -= 1

    @staticmethod
    def _find(request: AuthRequest, policy: Snapshot) -> tuple[Rule, Token] | Decision:
        """Steps 1 to 3: the rule and the token to resolve, or an answer that needs no token."""
        if request.route is not None and request.flaw is None and known_method(request.method):
            return _apply(request, policy.routes.named(request.route, request.method))
        place = judge(request, host_needed=policy.routes.uses_hosts)
        if isinstance(place, Reason):
            return deny(place)
        host, path = place
        if request.preflight and not request.added_scopes:
            announced = policy.routes.match(request.preflight, host, path)
            if announced is not None and announced.preflight:
                return announced.public
        return _apply(request, policy.routes.match(request.method, host, path))

    def _conclude(self, rule: Rule, resolution: Resolution, now: float, added_scopes: tuple[str, ...]) -> Decision:
        """Step 5, by what is known about the token and how old that is."""
        decision = decide(rule, resolution.state, now, added_scopes)
        if isinstance(decision, Allow):
            if resolution.level == "stale":
                return decision._replace(reason=Reason.ALLOWED_STALE)
            return self._cacheable(decision, rule, resolution, now) if rule.edge_cache else decision
        return acted_upon(rule, decision, added_scopes)

    def _contrast(
        self,
        candidate: Snapshot,
        request: AuthRequest,
        decision: Decision,
        resolution: Resolution | None,
        server: str,
    ) -> Contrast | None:
        """What the candidate says otherwise. It asks nobody: it judges by the resolution, if it would ask the same server."""
        if decision in (_INTERNAL, _ABANDONED):
            return None
        try:
            found = self._find(request, candidate)
            if not isinstance(found, _DECISIONS):
                rule, _ = found
                if resolution is None or rule.authorization_server != server:
                    return Contrast(Kind.UNKNOWN)
                found = self._conclude(rule, resolution, self._wall(), request.added_scopes)
        except Exception:  # noqa: BLE001 - whatever breaks in what is only tried out, the answer stays as it is
            return Contrast(Kind.FAILED)
        kind = difference(decision, found)
        return None if kind is None else Contrast(kind, found)

    def _cacheable(self, allow: Allow, rule: Rule, resolution: Resolution, now: float) -> Allow:
        """The same answer with the seconds a gateway may keep it: never past `exp`, our own entry or `freshness`."""
        monotonic = self._monotonic()
        lifetimes = [float(rule.edge_cache), resolution.fresh_until - monotonic]
        if rule.max_age is not None:
            lifetimes.append(resolution.asked_at + rule.max_age - monotonic - ROUNDING_SECONDS)
        if isinstance(resolution.state, Active) and resolution.state.exp is not None:
            lifetimes.append(resolution.state.exp - now - ROUNDING_SECONDS)
        seconds = int(max(0.0, min(lifetimes)))
        return allow._replace(cache_seconds=seconds)

    def _report(
        self,
        request: AuthRequest,
        decision: Decision,
        resolution: Resolution | None,
        policy: Snapshot,
        started: float,
        *,
        fault: str,
        contrast: Contrast | None,
    ) -> Checked:
        level, state, asked_seconds = (
            ("", None, 0.0) if resolution is None else (resolution.level, resolution.state, resolution.took_seconds)
        )
        sub, client_id, scope = (
            (state.sub, state.client_id, state.scope) if isinstance(state, Active) else (None, None, "")
        )
        if self._recordable is not None and not self._recordable():
            decision = deny(Reason.AUDIT_UNAVAILABLE, rule=decision.rule)
        rule = policy.routes.rule(decision.rule)
        event = Checked(  # in the order of the fields, because names cost as much as the rest
            self._decision_ids(),
            self._wall(),
            request.door,
            request.request_id,
            request.method,
            request.host,
            request.target.partition("?")[0],
            decision,
            level,
            sub,
            client_id,
            scope,
            self._monotonic() - started,
            fault,
            contrast,
            _needed(request, rule),
            asked_seconds,
            _missing(rule, state, decision) if decision.reason is not Reason.ALLOWED else (),
        )
        self._observer.checked(event)
        return event


def judge(request: AuthRequest, *, host_needed: bool) -> tuple[str, str] | Reason:
    """The one meaning of the request's host and path, or why there is none. `host_needed`: some rule asks for a host."""
    if request.flaw is not None:
        return request.flaw
    if not known_method(request.method):
        return Reason.BAD_METHOD
    host = canonical_host(request.host) if request.host else ""
    if host is None or (host_needed and not host):
        return Reason.BAD_HOST
    return Reason.BAD_PATH if (path := canonical_path(request.target)) is None else (host, path)


def _least(one: float | None, other: float | None) -> float | None:
    """The smaller one of two limits, either of which may be none."""
    return one if other is None else other if one is None else min(one, other)


def _needed(request: AuthRequest, rule: Rule | None) -> tuple[str, ...]:
    """The scopes that the rule asks for, and the gateway on top of them."""
    if rule is None:
        return ()
    added = request.added_scopes
    return tuple(" ".join(sorted({*each.split(), *added})) for each in rule.needed) if added else rule.needed


def _missing(rule: Rule | None, state: TokenState | None, decision: Decision) -> tuple[str, ...]:
    """What the token lacks beside scopes: of those, the event has what was needed and what is there."""
    if rule is None or not isinstance(state, Active) or (reason := true_reason(decision)) is Reason.INSUFFICIENT_SCOPE:
        return ()
    return (*missing(rule, state, reason),)


def _apply(request: AuthRequest, rule: Rule | None) -> tuple[Rule, Token] | Decision:
    """Step 3, by the rule that was found, if any."""
    if rule is None:
        return deny(Reason.NO_ROUTE)
    if rule.anonymous:
        return deny(Reason.MISCONFIGURED_GATEWAY, rule=rule.name) if request.added_scopes else rule.public
    token = extract(request.authorization)
    if not isinstance(token, Reason):
        return rule, token
    return acted_upon(rule, rule.denials[token], request.added_scopes)
