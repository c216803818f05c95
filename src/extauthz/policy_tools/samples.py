"""Requests made up for a rule: enough of them to meet every rule that can be met, and every edge between two.

Where a rule has `{parameter}` or `**`, a segment stands that no rule names: a literal could only lead elsewhere. Where it has
a constraint, one that fits it and, if possible, no other.
"""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

from extauthz.core.paths import canonical_path
from extauthz.core.pattern import Pattern
from extauthz.core.policy import Rule
from extauthz.core.routes import parse_path
from extauthz.policy_tools.texts import texts_for

COMMON_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
UNCOMMON_METHOD = "TRACE"
"""Stands for all that nobody lists."""

_FRESH = ("any", "-", "~", "A1", "any.thing", "*", "%20")
"""What may stand for a parameter where a constraint would take a number."""


class Place(NamedTuple):
    """A host, empty where no rule asks for one, and a canonical path."""

    host: str
    path: str

    def __str__(self) -> str:
        return f"{self.host}{self.path}"


class Samples:
    """Makes up requests that fit the rules of one table, or of several."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        patterns = [parse_path(rule.path) for rule in self._rules]
        self._literals = {segment for pattern in patterns for segment in pattern.segments}
        self._constraints = {pattern for rule in self._rules for _, pattern in rule.where}
        self._deepest = max((len(pattern.segments) for pattern in patterns), default=0)
        number = next(number for number in itertools.count(1) if str(number) not in self._literals)
        self._fresh = min((str(number), *_FRESH), key=self._led_astray)
        self._hosts = {rule.host for rule in self._rules if rule.host}
        listed = {method for rule in self._rules for method in rule.methods}
        self.methods = (*dict.fromkeys((*COMMON_METHODS, *sorted(listed), UNCOMMON_METHOD)),)

    def places(self, rule: Rule) -> list[Place]:
        """Where requests go that fit the rule's host and path, the plainest first."""
        host = self.host(rule)
        return [Place(host, path) for segments in self._segments(rule)[:1] for path in self._paths(rule, segments)]

    def doubtful(self, rule: Rule) -> list[Place]:
        """Where requests go that fit the rule's constraints, with every text that comes to mind."""
        host = self.host(rule)
        return [Place(host, path) for segments in self._segments(rule) for path in self._paths(rule, segments)[:1]]

    def all_places(self) -> list[Place]:
        """Where requests go that fit any of the rules, and one that perhaps fits none."""
        found = (place for rule in self._rules for place in self.places(rule))
        nowhere = Place(self._other_host(), f"/{self._fresh}/{self._fresh}")
        return [*dict.fromkeys((*found, nowhere))]

    def host(self, rule: Rule) -> str:
        """A host that fits the rule; empty where no rule asks for one."""
        if not rule.host:
            return self._other_host()
        return self._below(rule.host[1:]) if rule.host.startswith("*.") else rule.host

    def _other_host(self) -> str:
        return self._below(".test") if self._hosts else ""

    def _below(self, suffix: str) -> str:
        names = (f"any{number or ''}{suffix}" for number in itertools.count())
        return next(name for name in names if name not in self._hosts and f"*.{name}" not in self._hosts)

    def _segments(self, rule: Rule) -> list[tuple[str, ...]]:
        """Segments that fit, the plainest first; none where nothing comes to mind that fits a constraint.

        Each parameter has its texts in turn, while the others have their first.
        """
        pattern, where = parse_path(rule.path), dict(rule.where)
        names = iter(pattern.parameters)
        texts = [self._texts(where.get(next(names))) if text is None else [text] for text in pattern.segments]
        if not all(texts):
            return []
        first = tuple(each[0] for each in texts)
        others = ((*first[:at], text, *first[at + 1 :]) for at, each in enumerate(texts) for text in each[1:])
        return [first, *others]

    def _texts(self, constraint: Pattern | None) -> list[str]:
        if constraint is None:
            return [self._fresh]
        texts = (text for text in texts_for(constraint) if canonical_path(f"/{text}") == f"/{text}" and "/" not in text)
        return sorted(texts, key=self._led_astray)

    def _led_astray(self, text: str) -> tuple[bool, int]:
        """How far a segment is from being its rule's alone."""
        return text in self._literals, sum(pattern.fits(text) for pattern in self._constraints)

    def _paths(self, rule: Rule, segments: tuple[str, ...]) -> list[str]:
        head = "".join(f"/{segment}" for segment in segments)
        if not parse_path(rule.path).rest:
            return [head]
        deeper = max(1, self._deepest - len(segments) + 1)
        below = (head + f"/{self._fresh}" * count for count in range(1, deeper + 1))
        return [*below, *(tail for tail in (head, f"{head}/") if tail)]
