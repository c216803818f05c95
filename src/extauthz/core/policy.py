"""A rule, and the decision that it makes about a token. Evaluated on every request; only what a token *is* is cached.

The order is fixed, so that one request has one answer: token state → validity in time → audience → issuer → scope →
demands → identity.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from extauthz.core.challenge import challenge
from extauthz.core.decision import Allow, Decision, Deny, Reason, deny
from extauthz.core.demands import Demands
from extauthz.core.identity import NO_IDENTITY, IdentityHeaders
from extauthz.core.introspection import Active, Inactive, TokenState, Unavailable
from extauthz.core.pattern import Pattern
from extauthz.core.scopes import Implications, held_scopes


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one route asks for.

    Attributes:
        name: unique, for logs and metrics.
        path: pattern as `routes.parse_path` reads it.
        methods: methods that the rule lists; empty means every method.
        where: patterns that segments must match, by the names of the path's parameters.
        host: host pattern; empty means every host.
        anonymous: a public route: no token is asked for or looked at.
        shadow: what it denies passes all the same, without identity.
        preflight: CORS preflights for its methods pass without a token.
        alternatives: scope sets, one of which must be held completely. None at all denies everything.
        implications: scopes that a token holds by holding others.
        demands: what else a token must have; None is nothing.
        audience: the `aud` that a token must name; empty means that any will do.
        issuers: the `iss` of the token is one of these; empty means that any will do.
        authorization_server: name of the server that knows this route's tokens; or names, separated by spaces, among
            which each token chooses.
        max_age: seconds that a cached answer may be old; None leaves it to the cache, 0 asks every time.
        patience: seconds that a request waits for the server; None leaves it to the server's settings and the gateway.
        max_stale: seconds that an answer may be too old while the server cannot be asked, if its settings allow as much;
            None leaves it to them.
        leeway: seconds of clock difference granted to `exp` and `nbf`.
        edge_cache: seconds that a gateway may keep an allow; 0 means not at all.
        identity: which claims go to the upstream, under which header names.
        realm: protection space named in challenges.
        challenge_scope: scopes named in the `insufficient_scope` challenge.
        denials: every denial of this rule, each rendered once.
        public: the answer of an anonymous rule, rendered beforehand.
        needed: `alternatives` for the record: the words of each in order of the alphabet, with spaces between.
    """

    name: str
    path: str
    methods: tuple[str, ...] = ()
    where: tuple[tuple[str, Pattern], ...] = ()
    host: str = ""
    anonymous: bool = False
    shadow: bool = False
    preflight: bool = False
    alternatives: tuple[frozenset[str], ...] = ()
    implications: Implications = field(default_factory=dict, repr=False, hash=False)
    demands: Demands | None = None
    audience: str = ""
    issuers: frozenset[str] = frozenset()
    authorization_server: str = ""
    max_age: float | None = None
    patience: float | None = None
    max_stale: float | None = None
    leeway: float = 0.0
    edge_cache: int = 0
    identity: IdentityHeaders = NO_IDENTITY
    realm: str = "api"
    challenge_scope: tuple[str, ...] = ()
    denials: Mapping[Reason, Deny] = field(init=False, repr=False, compare=False)
    public: Allow = field(init=False, repr=False, compare=False)
    needed: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "denials", _Denials(self))
        public = Allow(reason=Reason.PUBLIC, rule=self.name, identity=(), absent=self.identity.names)
        object.__setattr__(self, "public", public)
        object.__setattr__(self, "needed", tuple(" ".join(sorted(words)) for words in self.alternatives))

    def deny(self, reason: Reason, challenge: str = "", retry_after: int = 0) -> Deny:
        """A denial of this rule. Pages of other origins may read the challenge where they may send requests at all."""
        return deny(reason, rule=self.name, challenge=challenge, retry_after=retry_after, cross_origin=self.preflight)


class _Denials(dict[Reason, Deny]):
    """The denials of a rule, each rendered when it is first needed: most never are, and a policy may have many rules.

    They do not hold the rule: a policy that was replaced must go without waiting for a search for cycles.
    """

    def __init__(self, rule: Rule) -> None:
        super().__init__()
        self._rule, self._cross_origin = rule.name, rule.preflight
        self._realm, self._scope = rule.realm, rule.challenge_scope

    def __missing__(self, reason: Reason) -> Deny:
        told = challenge(reason, self._realm, self._scope)
        denial = self[reason] = deny(reason, rule=self._rule, challenge=told, cross_origin=self._cross_origin)
        return denial


def decide(rule: Rule, state: TokenState, now: float, added_scopes: tuple[str, ...] = ()) -> Decision:
    """May a token in this state pass under this rule? `now` in seconds since the epoch.

    `added_scopes` are needed on top of what the rule asks for; they can never make less of it.
    """
    match state:
        case Active():
            return _decide_active(rule, state, now, added_scopes)
        case Inactive(reason=reason):
            return rule.denials[reason]
        case Unavailable(reason=reason, retry_after=retry_after):
            return rule.deny(reason, retry_after=retry_after)
        case _:
            assert_never(state)


def acted_upon(rule: Rule, decision: Decision, added_scopes: tuple[str, ...]) -> Decision:
    """The decision, or what becomes of it under a shadow rule: a denial passes as on a public route.

    Scopes that the gateway adds are the gateway's own rule, which nobody said to be a shadow.
    """
    if not rule.shadow or added_scopes or isinstance(decision, Allow):
        return decision
    return Allow(Reason.SHADOW, rule.name, (), rule.identity.names, shadow=decision.reason)


def _decide_active(rule: Rule, token: Active, now: float, added_scopes: tuple[str, ...]) -> Decision:
    refusal = _why_not_valid(rule, token, now)
    if refusal is not None:
        return rule.denials[refusal]
    held = held_scopes(token.scopes, rule.implications) if rule.implications else token.scopes
    for needed in rule.alternatives:
        if needed <= held:
            break
    else:
        return _insufficient(rule, added_scopes)
    if added_scopes and not held.issuperset(added_scopes):
        return _insufficient(rule, added_scopes)
    refusal = None if rule.demands is None else rule.demands.refusal(token)
    if refusal is not None:
        return rule.denials[refusal]
    forwarded = rule.identity.forward(token)
    if forwarded is None:
        return rule.denials[Reason.IDENTITY_NOT_FORWARDABLE]
    present, absent = forwarded
    return Allow(Reason.ALLOWED, rule.name, present, absent)


def _why_not_valid(rule: Rule, token: Active, now: float) -> Reason | None:
    """Validity in time, then the audience, then the issuer."""
    if token.exp is not None and token.exp + rule.leeway <= now:
        return Reason.EXPIRED
    if token.nbf is not None and token.nbf - rule.leeway > now:
        return Reason.NOT_YET_VALID
    if rule.audience and rule.audience not in token.aud:
        return Reason.WRONG_AUDIENCE
    if rule.issuers and token.iss not in rule.issuers:
        return Reason.WRONG_ISSUER
    return None


def _insufficient(rule: Rule, added_scopes: tuple[str, ...]) -> Deny:
    if not added_scopes:
        return rule.denials[Reason.INSUFFICIENT_SCOPE]
    needed = tuple(dict.fromkeys((*rule.challenge_scope, *added_scopes)))
    reason = Reason.INSUFFICIENT_SCOPE
    return rule.deny(reason, challenge(reason, rule.realm, needed))
