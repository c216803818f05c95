"""Which rule is meant: the most specific one, whatever the order in the file.

Host first: exact, then the longest `*.suffix`, then any. Then the path, segment by segment from the left:
a literal before a `{parameter}` whose constraint fits, before any `{parameter}`, before `**`. A constraint that does not fit
leads nowhere; where two of them fit the same segment, neither comes first and no rule decides. The rule set found there decides alone: if it does not list the
method there is no route, and no wider rule is tried. The table is a tree of segments, so the cost of a look-up
follows the depth of the path, not the number of routes.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from extauthz.core.paths import canonical_path
from extauthz.core.pattern import Pattern
from extauthz.core.policy import Rule

ANY_METHOD = ""
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_EXACT_HOST = re.compile(r"[0-9a-z_]([0-9a-z_-]*)(\.[0-9a-z_][0-9a-z_-]*)*|\[[0-9a-f:.]+\]")


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A parsed path: literal segments are text, a parameter is None; `rest` when it ends in `**`.

    `parameters` are their names, in order.
    """

    segments: tuple[str | None, ...]
    rest: bool
    parameters: tuple[str, ...] = field(default=(), compare=False)


def parse_path(text: str) -> PathPattern:
    """Read the path of a rule.

    Raises:
        ValueError: saying what is wrong and what to write instead.
    """
    if not text.startswith("/"):
        raise ValueError("a path starts with /")
    *head, last = text[1:].split("/")
    rest = last == "**"
    names: list[str] = []
    segments = tuple(_parse_segment(segment, names) for segment in (head if rest else [*head, last]))
    if "" in head:
        raise ValueError("a path has no empty segment in the middle")
    return PathPattern(segments=segments, rest=rest, parameters=tuple(names))


def _parse_segment(segment: str, names: list[str]) -> str | None:
    parameter = _PARAMETER.fullmatch(segment)
    if parameter is not None:
        if parameter[1] in names:
            raise ValueError(f"{{{parameter[1]}}} stands twice in the path")
        names.append(parameter[1])
        return None
    if "{" in segment or "}" in segment:
        raise ValueError(
            "a parameter is a name alone: write {name} for a whole segment, and its pattern, if any, under where"
        )
    if "*" in segment:
        raise ValueError("* stands for nothing here: write {name} for one segment, or ** as the last one for all below")
    if "?" in segment:
        raise ValueError("a path has no query: rules do not look at it")
    canonical = canonical_path(f"/{segment}")
    if canonical is None:
        raise ValueError(f"no request can have the segment {segment!r}: it would be refused as ambiguous")
    return canonical[1:]


def check_host(text: str) -> str:
    """Return the host pattern in lower case.

    Raises:
        ValueError: when it is neither a host name nor `*.` and a host name.
    """
    host = text.lower()
    if host.startswith("*.["):
        raise ValueError("an IP address has no names below it")
    if _EXACT_HOST.fullmatch(host.removeprefix("*.")) is None:
        raise ValueError("a host is a name without port, or *.name for all names below it")
    return host


Methods = dict[str, Rule]
_NOBODY: Methods = {}
"""What two constraints that fit the same segment lead to."""


class Turn(StrEnum):
    """What a look-up can come upon."""

    HOST = "host"
    REST = "rest"
    LITERAL = "literal"
    WHERE = "where"
    BACK = "back"
    TIED = "tied"
    FOUND = "found"
    NOTHING = "nothing"


class Step(NamedTuple):
    """One turn of a look-up.

    Attributes:
        turn: `HOST`: the rules of this host pattern are looked at; `REST`: a `**` fits here and is kept in mind;
            `LITERAL`: both a literal and a `{parameter}` fit, the literal is tried first; `WHERE`: a constraint
            fits and is tried before parameters without one; `BACK`: it led nowhere, what comes next is tried; `TIED`:
            two constraints lead to these rules, so none decides; `FOUND`: these rules decide; `NOTHING`: none of this host fits.
        where: the host pattern, or how much of the path had been read.
        rules: those that stand there, if it is `REST`, `TIED` or `FOUND`.
    """

    turn: Turn
    where: str
    rules: tuple[Rule, ...] = ()


Trace = list[Step]


@dataclass(slots=True)
class _Node:
    literals: dict[str, "_Node"] = field(default_factory=dict)
    parameter: "_Node | None" = None
    constrained: "dict[str, _Constrained] | None" = None
    here: Methods | None = None
    rest: Methods | None = None


class _Constrained(NamedTuple):
    """Where a parameter leads that must match a pattern."""

    pattern: Pattern
    node: _Node


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two rules that would both decide the same request; no methods named means every method."""

    first: Rule
    second: Rule
    methods: tuple[str, ...]


class RouteTable:
    """All rules, ready for look-up. Immutable after `build`."""

    __slots__ = ("_any", "_exact", "_named", "_suffixes", "rules", "uses_hosts")

    def __init__(self) -> None:
        self._any = _Node()
        self._exact: dict[str, _Node] = {}
        self._suffixes: dict[str, _Node] = {}
        self._named: dict[str, Rule] = {}
        self.rules: tuple[Rule, ...] = ()
        self.uses_hosts = False

    @classmethod
    def build(cls, rules: Iterable[Rule]) -> tuple["RouteTable", list[Conflict]]:
        """The table, and every pair of rules that tie. A table with conflicts must not be used."""
        table = cls()
        table.rules = tuple(rules)
        table._named = {rule.name: rule for rule in table.rules}
        conflicts = [conflict for rule in table.rules for conflict in table._add(rule)]
        table.uses_hosts = bool(table._exact or table._suffixes)
        return table, conflicts

    def rule(self, name: str) -> Rule | None:
        """The rule of that name, if there is one."""
        return self._named.get(name)

    def named(self, name: str, method: str) -> Rule | None:
        """The rule of that name if it takes the method, or None: then the request is denied."""
        rule = self._named.get(name)
        return rule if rule is not None and (not rule.methods or method in rule.methods) else None

    def match(self, method: str, host: str, path: str, trace: Trace | None = None) -> Rule | None:
        """The rule for a canonical host and path, or None: then the request is denied.

        Each turn of the look-up is added to a `trace`, if there is one.
        """
        segments = path.split("/")
        for tree in self._trees(host) if self.uses_hosts else (self._any,):
            if trace is not None:
                trace.append(Step(Turn.HOST, self._host_of(tree)))
            methods = _find(tree, segments, 1, trace)
            if trace is not None and methods != _NOBODY:
                trace.append(_ended(methods, path))
            if methods is not None:
                return methods.get(method) or methods.get(ANY_METHOD)
        return None

    def _host_of(self, tree: _Node) -> str:
        """The pattern whose rules these are, empty for those of every host."""
        known = (*self._exact.items(), *((f"*{suffix}", node) for suffix, node in self._suffixes.items()))
        return next((host for host, node in known if node is tree), "")

    def _trees(self, host: str) -> Iterable[_Node]:
        dots = [index for index, character in enumerate(host) if character == "."]
        suffixes = (self._suffixes.get(host[dot:]) for dot in dots)
        return [tree for tree in (self._exact.get(host), *suffixes, self._any) if tree is not None]

    def _add(self, rule: Rule) -> list[Conflict]:
        pattern = parse_path(rule.path)
        node = self._tree_for(rule.host)
        names, where = iter(pattern.parameters), dict(rule.where)
        for segment in pattern.segments:
            node = _below(node, where.get(next(names))) if segment is None else _literally(node, segment)
        if pattern.rest:
            node.rest = {} if node.rest is None else node.rest
            return _claim(node.rest, rule)
        node.here = {} if node.here is None else node.here
        return _claim(node.here, rule)

    def _tree_for(self, host: str) -> _Node:
        if not host:
            return self._any
        if host.startswith("*."):
            return self._suffixes.setdefault(host[1:], _Node())
        return self._exact.setdefault(host, _Node())


def _literally(node: _Node, segment: str) -> _Node:
    return node.literals.setdefault(segment, _Node())


def _below(node: _Node, pattern: Pattern | None) -> _Node:
    """Where a parameter leads. One without a constraint is there in any case: a look-up asks for that alone."""
    node.parameter = node.parameter or _Node()
    if pattern is None:
        return node.parameter
    node.constrained = {} if node.constrained is None else node.constrained
    return node.constrained.setdefault(pattern.text, _Constrained(pattern, _Node())).node


def _claim(methods: Methods, rule: Rule) -> list[Conflict]:
    """Enter the rule for its methods, or tell every rule that holds one of them already."""
    wanted = rule.methods or (ANY_METHOD,)
    rivals = {other.name: other for method, other in methods.items() if _meet(method, wanted)}
    if not rivals:
        methods.update(dict.fromkeys(wanted, rule))
    return [Conflict(first=rival, second=rule, methods=_shared(rival, rule)) for rival in rivals.values()]


def _meet(taken: str, wanted: tuple[str, ...]) -> bool:
    return taken in wanted or ANY_METHOD in (taken, *wanted)


def _shared(first: Rule, second: Rule) -> tuple[str, ...]:
    """Methods that both would decide; empty means every method."""
    if first.methods and second.methods:
        return tuple(method for method in second.methods if method in first.methods)
    return first.methods or second.methods


def _ended(methods: Methods | None, path: str) -> Step:
    return Step(Turn.NOTHING, path) if methods is None else Step(Turn.FOUND, path, _distinct(methods))


def _distinct(methods: Methods) -> tuple[Rule, ...]:
    return tuple({rule.name: rule for rule in methods.values()}.values())


def _find(node: _Node, segments: list[str], at: int, trace: Trace | None) -> Methods | None:
    """The rules where these segments lead; `rest` is the narrowest `**` passed on the way, if they lead nowhere."""
    rest: Methods | None = None
    for place in range(at, len(segments)):
        segment = segments[place]
        if node.rest is not None:
            rest = node.rest
            if trace is not None:
                trace.append(Step(Turn.REST, "/".join(segments[:place]) + "/**", _distinct(rest)))
        step = node.literals.get(segment)
        if node.parameter is not None and segment:
            found = None if step is None else _try(Turn.LITERAL, step, segments, place + 1, trace)
            if found is None and node.constrained is not None:
                found = _try_constrained(node.constrained.values(), segments, place + 1, trace)
            if found is not None:
                return found
            step = node.parameter
        if step is None:
            return rest
        node = step
    return node.here or node.rest or rest


def _try_constrained(ways: Iterable[_Constrained], segments: list[str], at: int, trace: Trace | None) -> Methods | None:
    """Where the constraint leads that the segment before `at` fits; two of them that lead anywhere lead to nobody."""
    fitting = [way.node for way in ways if way.pattern.fits(segments[at - 1])]
    tried = (_try(Turn.WHERE, node, segments, at, trace) for node in fitting)
    found = [methods for methods in tried if methods is not None]
    if len(found) > 1 and trace is not None:
        rules = (rule for methods in found for rule in _distinct(methods))
        trace.append(Step(Turn.TIED, "/".join(segments[:at]), tuple(dict.fromkeys(rules))))
    return None if not found else found[0] if len(found) == 1 else _NOBODY


def _try(turn: Turn, node: _Node, segments: list[str], at: int, trace: Trace | None) -> Methods | None:
    """Where a way leads that others stand beside."""
    if trace is None:
        return _find(node, segments, at, None)
    trace.append(Step(turn, "/".join(segments[:at])))
    found = _find(node, segments, at, trace)
    if found is None:
        trace.append(Step(Turn.BACK, "/".join(segments[:at])))
    return found
