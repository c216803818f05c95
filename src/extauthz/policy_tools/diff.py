"""Which requests end otherwise under another policy. Requests are made up from both, or come from the record."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from extauthz.core.contrast import difference
from extauthz.core.decision import Allow, Decision
from extauthz.core.introspection import Active, TokenState
from extauthz.core.policy import Rule
from extauthz.core.request import AuthRequest
from extauthz.core.snapshot import Snapshot
from extauthz.policy_tools.ask import Url, ask, question
from extauthz.policy_tools.probe import probes
from extauthz.policy_tools.samples import Place, Samples

OPENED, CLOSED, CHANGED, UNKNOWN, SETTINGS = "opened", "closed", "changed", "unknown", "settings"
"""Passes now; does not pass any more; ends otherwise, passing or not; ends as its token warrants, which the record does not
tell; ends alike, but handled otherwise."""

_SETTINGS = {
    "max_age": "freshness",
    "patience": "timeout",
    "max_stale": "stale_if_error",
    "edge_cache": "edge_cache",
    "authorization_server": "authorization_server",
    "identity": "identity_headers or forward_token",
    "realm": "realm",
    "preflight": "allow_preflight",
    "leeway": "leeway",
}


class Ending(NamedTuple):
    """How a request ends, as far as client or upstream notice."""

    text: str
    detail: str


@dataclass(frozen=True, slots=True)
class Change:
    """A difference between two policies.

    Attributes:
        kind: one of the five words above.
        old: how it ended.
        new: how it ends.
        old_rule: which rule decided; empty for none.
        new_rule: which rule decides.
        token: what token it is about.
    """

    kind: str
    old: str
    new: str
    old_rule: str
    new_rule: str
    token: str


class Seen(NamedTuple):
    """Where a change shows: methods and places, each as often as it was seen."""

    change: Change
    methods: tuple[str, ...]
    places: tuple[str, ...]
    times: int


def differences(old: Snapshot, new: Snapshot, now: float) -> list[Seen]:
    """Every change that requests made up from both policies show; what opens comes first."""
    return group(_made_up(old, new, now))


def group(found: Iterable[tuple[Change, str, str]]) -> list[Seen]:
    """The same change at several places and methods is one; `found` has change, method and place."""
    together: dict[Change, list[tuple[str, str]]] = {}
    for change, method, place in found:
        together.setdefault(change, []).append((method, place))
    seen = [
        Seen(change, (*dict.fromkeys(m for m, _ in where),), (*dict.fromkeys(p for _, p in where),), len(where))
        for change, where in together.items()
    ]
    kinds = (OPENED, CLOSED, CHANGED, UNKNOWN, SETTINGS)
    return sorted(seen, key=lambda each: kinds.index(each.change.kind))


def compare(old: Snapshot, new: Snapshot, request: AuthRequest, state: TokenState | None, now: float) -> Change | None:
    """How one request ends under both; None when it ends alike."""
    before, after = (ask(policy, request, state, now).decision for policy in (old, new))
    return change(before, after, told(state))


def change(before: Decision, after: Decision, token: str) -> Change | None:
    """How two decisions about one request and that token differ; None where nobody would notice."""
    kind = difference(before, after)
    if kind is None:
        return None
    return Change(kind.value, *_apart(ending(before), ending(after)), before.rule, after.rule, token)


def ending(decision: Decision) -> Ending:
    """How it ends, without the name of the rule."""
    if isinstance(decision, Allow):
        sent = (*(f"{name}: {value}" for name, value in decision.identity), *(f"no {name}" for name in decision.absent))
        return Ending("allow", ", ".join(sent))
    text = f"deny {decision.outcome.status} {decision.reason}"
    return Ending(text, decision.challenge)


def _apart(first: Ending, second: Ending) -> tuple[str, str]:
    """Both in as few words as tell them apart."""
    if first.text != second.text:
        return first.text, second.text
    return f"{first.text} ({first.detail})", f"{second.text} ({second.detail})"


def told(state: TokenState | None) -> str:
    """A token in few words."""
    if not isinstance(state, Active):
        return "without a token" if state is None else "with a token that is not active"
    aud = f" for {' '.join(state.aud)}" if state.aud else ""
    told = (("issuer", state.iss), ("client", state.client_id), ("actor", _actor(state)))
    more = "".join(f" of {name} {value}" for name, value in told if value)
    more += "".join(f" with {name}" for name in state.claims if name != "act") + ("" if state.sub else " without sub")
    return f"with scope {state.scope or '(none)'}{aud}{more}"


def _actor(token: Active) -> str:
    act = token.claims.get("act")
    return str(act.get("sub") or "") if isinstance(act, dict) else ""


def _made_up(old: Snapshot, new: Snapshot, now: float) -> Iterator[tuple[Change, str, str]]:
    samples = Samples((*old.routes.rules, *new.routes.rules))
    for place in samples.all_places():
        for method in samples.methods:
            before, after = old.routes.match(method, *place), new.routes.match(method, *place)
            if before != after:
                yield from ((change, method, str(place)) for change in _at(old, new, method, place, now))
                yield from ((change, method, str(place)) for change in _settings(before, after))


def _at(old: Snapshot, new: Snapshot, method: str, place: Place, now: float) -> Iterator[Change]:
    rules = old.routes.match(method, *place), new.routes.match(method, *place)
    url = Url(place.host or "any.test", place.path)
    for state in (None, *probes(*rules)):
        change = compare(old, new, question(method, url, with_token=state is not None), state, now)
        if change is not None:
            yield change


def _settings(before: Rule | None, after: Rule | None) -> Iterator[Change]:
    """What no answer shows at once: how fresh it must be, who is asked, what is forwarded."""
    if before is None or after is None or before.anonymous or after.anonymous:
        return
    changed = [name for field, name in _SETTINGS.items() if getattr(before, field) != getattr(after, field)]
    for name in changed:
        yield Change(SETTINGS, name, "otherwise", before.name, after.name, "whatever the token")
