"""How recorded requests would end under another policy. What their lines do not tell is left open, and not made up."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from extauthz.core.contrast import difference
from extauthz.core.decision import OUTAGES, Decision, Reason, true_reason
from extauthz.core.introspection import Active, Inactive, TokenState
from extauthz.core.policy import Rule
from extauthz.core.preflight import METHOD
from extauthz.core.request import AuthRequest
from extauthz.core.snapshot import Snapshot
from extauthz.policy_tools.ask import Url, ask, question
from extauthz.policy_tools.diff import UNKNOWN, Change, Seen, change, group, told
from extauthz.policy_tools.probe import fitting
from extauthz.policy_tools.record import WITHOUT_TOKEN, Recorded, read_record
from extauthz.policy_tools.recorded_token import least, most, token, worst

_SAYS_NOTHING = OUTAGES | {
    Reason.AUDIT_UNAVAILABLE,
    Reason.ABANDONED,
    Reason.INTERNAL,
    Reason.UNTRUSTED_PEER,
    Reason.MISCONFIGURED_GATEWAY,
    Reason.BAD_METADATA,
    Reason.TOO_MANY_INACTIVE,
    Reason.IDENTITY_NOT_FORWARDABLE,
}
"""Reasons of answers that another policy would not have changed, or that say too little about the token."""

_BY_THE_RULE = {
    Reason.ALLOWED,
    Reason.ALLOWED_STALE,
    Reason.INSUFFICIENT_SCOPE,
    Reason.WRONG_AUDIENCE,
    Reason.INSUFFICIENT_DETAILS,
    Reason.WRONG_CLIENT,
    Reason.WRONG_ACTOR,
    Reason.NO_SUBJECT,
    Reason.WRONG_CLAIM,
}
"""Reasons of answers about a token that is active."""

_NOT_LOOKED_AT = {Reason.PUBLIC, Reason.NO_ROUTE, Reason.BAD_HOST}
"""Reasons of answers that leave open whether there was a token, and that another policy may not give."""

_CREDENTIALS: Mapping[Reason, tuple[str, ...]] = {
    Reason.UNSUPPORTED_SCHEME: ("Basic Og==",),
    Reason.MALFORMED_CREDENTIALS: ("Bearer b@d",),
    Reason.SEVERAL_CREDENTIALS: ("Bearer a", "Bearer b"),
}


class Replayed(NamedTuple):
    """What became of a record: changes, and how many lines had none, told too little, or were not decided by the old policy."""

    seen: list[Seen]
    alike: int
    silent: int
    foreign: int


class Policies(NamedTuple):
    """Both, and when they are asked: seconds since the epoch."""

    old: Snapshot
    new: Snapshot
    now: float


class _Case(NamedTuple):
    """A line as it can be asked again: by the old rule, if any, with the least that its token had."""

    recorded: Recorded
    rule: Rule | None
    request: AuthRequest
    state: TokenState | None


def replay(lines: Iterable[bytes], old: Snapshot, new: Snapshot, now: float) -> Replayed:
    """Ask both policies about everything that was recorded; `now` in seconds since the epoch."""
    policies = Policies(old, new, now)
    counts: Counter[str] = Counter()
    changes: list[tuple[Change, str, str]] = []
    for recorded in read_record(lines):
        if recorded is None or recorded.reason in _SAYS_NOTHING:
            counts["silent"] += 1
            continue
        case = _case(recorded, old.routes.rule(recorded.rule))
        before = ask(old, case.request, case.state, now).decision
        if before.rule != recorded.rule or _plain(true_reason(before)) is not _plain(recorded.reason):
            counts["foreign"] += 1
            continue
        found = _change(case, before, [*_endings(case, policies)])
        if found is None:
            counts["alike"] += 1
        else:
            changes.append((found, recorded.method, recorded.host + (case.rule.path if case.rule else recorded.path)))
    return Replayed(group(changes), counts["alike"], counts["silent"], counts["foreign"])


def _plain(reason: Reason) -> Reason:
    return Reason.ALLOWED if reason is Reason.ALLOWED_STALE else reason


def _change(case: _Case, before: Decision, endings: list[Decision]) -> Change | None:
    """What changes however the line is completed, or that this is unknown."""
    found = change(before, endings[0], told(case.state))
    if len({difference(before, each) for each in endings}) == 1:
        return found
    found = found or Change(UNKNOWN, "", "", before.rule, endings[0].rule, told(case.state))
    old = found.old or case.recorded.reason.value
    token = found.token if case.state else "with a token or without"
    return replace(found, kind=UNKNOWN, old=old, new="as its token warrants", token=token)


def _case(recorded: Recorded, rule: Rule | None) -> _Case:
    state = _state(recorded, rule)
    asked = question(recorded.method, Url(recorded.host, recorded.path), with_token=state is not None)
    if state is None and recorded.reason in _CREDENTIALS:
        asked = asked._replace(authorization=_CREDENTIALS[recorded.reason])
    if rule is not None and recorded.reason is Reason.PUBLIC and not rule.anonymous:
        asked = asked._replace(preflight=_announceable(rule)[0])
    return _Case(recorded, rule, asked._replace(added_scopes=_added(recorded, rule)), state)


def _state(recorded: Recorded, rule: Rule | None) -> TokenState | None:
    if recorded.reason in WITHOUT_TOKEN or rule is None:
        return None
    by_the_rule = recorded.reason is Reason.WRONG_ISSUER and rule.issuers
    if recorded.reason not in _BY_THE_RULE and not by_the_rule:
        return Inactive(reason=recorded.reason)
    had = least(rule, recorded.reason)
    return token(rule, had, _scopes(recorded, rule), recorded.sub, recorded.client_id)


def _scopes(recorded: Recorded, rule: Rule) -> frozenset[str]:
    """Those of the line; where it does not tell, what the rule asks for if it passed."""
    if recorded.scope is not None:
        return frozenset(recorded.scope.split())
    return min(rule.alternatives, key=len, default=frozenset()) if recorded.passed else frozenset()


def _added(recorded: Recorded, rule: Rule | None) -> tuple[str, ...]:
    """Scopes that the gateway asked for on top of the rule's."""
    if rule is None or not recorded.needed or len(recorded.needed) != len(rule.needed):
        return ()
    pairs = zip(recorded.needed, rule.needed, strict=True)
    return tuple(sorted(set[str].union(*({*all_.split()} - {*own.split()} for all_, own in pairs))))


def _endings(case: _Case, policies: Policies) -> Iterator[Decision]:
    """How it may end under the new policy: first as the line has it, then with all that the line leaves open."""
    _, new, now = policies
    first = ask(new, case.request, case.state, now).decision
    yield first
    yield from (
        ask(new, case.request._replace(preflight=method), case.state, now).decision for method in _preflights(case, new)
    )
    rule = new.routes.rule(first.rule)
    if rule is None or rule.anonymous:
        return
    for state in _others(case, first, rule):
        with_token = question(case.request.method, Url(case.request.host, case.request.target), with_token=True)
        yield ask(new, with_token._replace(added_scopes=case.request.added_scopes), state, now).decision


def _others(case: _Case, first: Decision, new: Rule) -> Iterator[TokenState]:
    """Tokens that it may have had as well."""
    recorded, rule = case.recorded, case.rule
    if recorded.reason in _NOT_LOOKED_AT and true_reason(first) is Reason.NO_CREDENTIALS:
        yield fitting(new, frozenset[str]().union(*new.alternatives))
    if case.state is None or rule is None:
        return
    if rule.authorization_server != new.authorization_server:
        yield Inactive()
        yield fitting(new, frozenset[str]().union(*new.alternatives))
    if isinstance(case.state, Active):
        known = least(rule, recorded.reason)
        for had in {worst(rule, recorded.reason, new), most(rule, recorded.reason, new)} - {known}:
            yield token(rule, had, _scopes(recorded, rule), recorded.sub, recorded.client_id)


def _preflights(case: _Case, new: Snapshot) -> Iterator[str]:
    """Methods that it may have announced: of a preflight that was let through, all of its route; of another, any."""
    if case.request.method != METHOD or case.state is not None:
        return
    if case.request.preflight and case.rule is not None:
        yield from _announceable(case.rule)
    else:
        yield from {method for rule in new.routes.rules if rule.preflight for method in _announceable(rule)}


def _announceable(rule: Rule) -> tuple[str, ...]:
    return rule.methods or ("GET",)
