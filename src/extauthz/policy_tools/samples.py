"""Requests made up for a rule: enough of them to meet every rule that can be met, and every edge between two.

Where a rule has `{parameter}` or `**`, a segment stands that no rule names: a literal could only lead elsewhere.
"""

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from extauthz.core.policy import Rule
from extauthz.core.routes import parse_path

COMMON_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
UNCOMMON_METHOD = "TRACE"
"""Stands for all that nobody lists."""


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
        literals = {segment for pattern in patterns for segment in pattern.segments}
        self._deepest = max((len(pattern.segments) for pattern in patterns), default=0)
        self._fresh = next(str(number) for number in itertools.count(1) if str(number) not in literals)
        self._hosts = {rule.host for rule in self._rules if rule.host}
        listed = {method for rule in self._rules for method in rule.methods}
        self.methods = (*dict.fromkeys((*COMMON_METHODS, *sorted(listed), UNCOMMON_METHOD)),)

    def places(self, rule: Rule) -> list[Place]:
        """Where requests go that fit the rule's host and path, the plainest first."""
        host = self.host(rule)
        return [Place(host, path) for path in self._paths(rule.path)]

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

    def _paths(self, path: str) -> Iterator[str]:
        pattern = parse_path(path)
        head = "".join("/" + (self._fresh if segment is None else segment) for segment in pattern.segments)
        if not pattern.rest:
            yield head
            return
        deeper = max(1, self._deepest - len(pattern.segments) + 1)
        yield from (head + f"/{self._fresh}" * count for count in range(1, deeper + 1))
        yield from (tail for tail in (head, f"{head}/") if tail)
