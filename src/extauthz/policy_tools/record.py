"""Lines of the audit log as requests that can be asked again: the token is known as far as the line tells."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from extauthz.core.decision import ALLOWING, OUTAGES, Reason
from extauthz.core.introspection import Inactive, TokenState
from extauthz.core.policy import Rule
from extauthz.core.snapshot import Snapshot
from extauthz.policy_tools.ask import Url, question
from extauthz.policy_tools.diff import UNKNOWN, Change, Seen, compare, group
from extauthz.policy_tools.probe import fitting

_SAYS_NOTHING = OUTAGES | {
    Reason.AUDIT_UNAVAILABLE,
    Reason.ABANDONED,
    Reason.INTERNAL,
    Reason.UNTRUSTED_PEER,
    Reason.MISCONFIGURED_GATEWAY,
    Reason.BAD_METADATA,
    Reason.TOO_MANY_INACTIVE,
}
"""Reasons of answers that another policy would not have changed, or that say nothing about the token."""

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
    Reason.IDENTITY_NOT_FORWARDABLE,
}
"""Reasons of answers about a token that is active."""

WITHOUT_TOKEN = {
    Reason.PUBLIC,
    Reason.NO_ROUTE,
    Reason.BAD_METHOD,
    Reason.BAD_HOST,
    Reason.BAD_PATH,
    Reason.NO_CREDENTIALS,
    Reason.UNSUPPORTED_SCHEME,
    Reason.MALFORMED_CREDENTIALS,
    Reason.SEVERAL_CREDENTIALS,
}
"""Reasons of answers for which no token was looked at, if there was one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One line of the audit log.

    Attributes:
        reason: why the rule decided as it did, also where it was a shadow.
        shadow: whether it was, and let pass what it would have denied.
        scope: the token's scopes, separated by spaces; None when the line does not tell.
    """

    method: str
    host: str
    path: str
    reason: Reason
    rule: str
    sub: str | None = None
    client_id: str | None = None
    scope: str | None = None
    shadow: bool = False

    @property
    def answered(self) -> Reason:
        """The reason that the gateway was told."""
        return Reason.SHADOW if self.shadow else self.reason

    @property
    def passed(self) -> bool:
        """Whether the rule let the request through, and not only as a shadow."""
        return self.reason in ALLOWING


class Replayed(NamedTuple):
    """What became of a record: changes, and how many lines had none, told too little, or told of another old policy."""

    seen: list[Seen]
    alike: int
    silent: int
    foreign: int


def read_record(lines: Iterable[bytes]) -> Iterator[Recorded | None]:
    """Each line as a request; None for one that is no line of the record."""
    for line in lines:
        if line.strip():
            yield _read(line)


def replay(lines: Iterable[bytes], old: Snapshot, new: Snapshot, now: float) -> Replayed:
    """Ask both policies about everything that was recorded; `now` in seconds since the epoch."""
    rules = {rule.name: rule for rule in old.routes.rules}
    counts: Counter[str] = Counter()
    changes: list[tuple[Change, str, str]] = []
    for recorded in read_record(lines):
        if recorded is None or recorded.reason in _SAYS_NOTHING:
            counts["silent"] += 1
            continue
        rule = rules.get(recorded.rule)
        if recorded.rule and rule is None:
            counts["foreign"] += 1
            continue
        url = Url(recorded.host, recorded.path)
        state = token_of(recorded, rule)
        change = compare(old, new, question(recorded.method, url, with_token=state is not None), state, now)
        if change is not None and _asks_for_the_token_first(recorded, change):
            change = replace(change, kind=UNKNOWN, new="as its token warrants", token="with a token or without")  # noqa: S106 - words about one
        if change is None:
            counts["alike"] += 1
        else:
            changes.append((change, recorded.method, recorded.host + (rule.path if rule else recorded.path)))
    return Replayed(group(changes), counts["alike"], counts["silent"], counts["foreign"])


def _asks_for_the_token_first(recorded: Recorded, change: Change) -> bool:
    """Whether the new policy looks at a token where the old one did not: the line then tells nothing about it."""
    return recorded.reason in (Reason.PUBLIC, Reason.NO_ROUTE) and change.new.endswith(Reason.NO_CREDENTIALS)


def token_of(recorded: Recorded, rule: Rule | None) -> TokenState | None:
    """The token as far as the line tells: if it passed, it had all that the rule asked for."""
    if recorded.reason in WITHOUT_TOKEN or rule is None:
        return None
    by_the_rule = recorded.reason is Reason.WRONG_ISSUER and rule.issuers
    if recorded.reason not in _BY_THE_RULE and not by_the_rule:
        return Inactive(reason=recorded.reason)
    if recorded.scope is not None:
        scopes = frozenset(recorded.scope.split())
    else:
        scopes = min(rule.alternatives, key=len, default=frozenset()) if recorded.passed else frozenset()
    token = fitting(rule, scopes, sub=recorded.sub, client_id=recorded.client_id)
    match recorded.reason:
        case Reason.WRONG_AUDIENCE:
            return replace(token, aud=())
        case Reason.WRONG_ISSUER:
            return replace(token, iss=None)
        case _:
            return token


def _read(line: bytes) -> Recorded | None:
    try:
        said: dict[str, Any] = json.loads(line)
        texts = {name: said[name] for name in ("method", "host", "path", "rule")}
        reason = Reason(said.get("shadow", said["reason"]))
    except (ValueError, KeyError, TypeError):
        return None
    if not all(isinstance(text, str) for text in texts.values()):
        return None
    scope = said.get("scope")
    return Recorded(
        reason=reason,
        shadow="shadow" in said,
        sub=_text(said.get("sub")),
        client_id=_text(said.get("client_id")),
        scope=" ".join(map(str, scope)) if isinstance(scope, list) else _text(scope),
        **texts,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
