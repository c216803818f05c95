"""Pairs of rules that fit the same path, each narrower than the other somewhere: `/a/{x}` and `/{y}/b`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from extauthz.core.policy import Rule
from extauthz.core.routes import PathPattern, RouteTable, parse_path

_PLAIN_SEGMENT = "1"


class Crossing(NamedTuple):
    """Two rules, and a path that fits both: the winner decides there."""

    loser: Rule
    winner: Rule
    path: str


@dataclass(slots=True)
class _Branch:
    """Patterns by their segments; a parameter is None."""

    next: dict[str | None, "_Branch"] = field(default_factory=dict)
    exact: list[Rule] = field(default_factory=list)
    rest: list[Rule] = field(default_factory=list)


class _At(NamedTuple):
    """How far two patterns have been compared: what both fit so far, and which of the two was narrower somewhere."""

    branch: _Branch
    path: str = ""
    winner_narrower: bool = False
    loser_narrower: bool = False


def crossings(rules: Iterable[Rule]) -> Iterator[Crossing]:
    """For each rule, the first one that takes requests from it although it is not narrower throughout."""
    rules = tuple(rules)
    table, _ = RouteTable.build(rules)
    roots = _by_host(rules)
    for loser in rules:
        found = next(_rivals(loser, roots[loser.host], table), None)
        if found is not None:
            yield found


def _by_host(rules: Iterable[Rule]) -> dict[str, _Branch]:
    roots: dict[str, _Branch] = {}
    for rule in rules:
        branch = roots.setdefault(rule.host, _Branch())
        pattern = parse_path(rule.path)
        for segment in pattern.segments:
            branch = branch.next.setdefault(segment, _Branch())
        (branch.rest if pattern.rest else branch.exact).append(rule)
    return roots


def _rivals(loser: Rule, root: _Branch, table: RouteTable) -> Iterator[Crossing]:
    pattern = parse_path(loser.path)
    if None not in pattern.segments:
        return  # nothing can be narrower on the left
    for winner, path in _overlapping(pattern, root):
        host = _a_host(loser.host)
        methods = [method for method in (loser.methods or ("GET",)) if method in (winner.methods or (method,))]
        fits = not loser.where or RouteTable.build([loser])[0].match(methods[0] if methods else "", host, path)
        if methods and fits and table.match(methods[0], host, path) is winner:
            yield Crossing(loser, winner, path)


def _a_host(pattern: str) -> str:
    return f"any{pattern[1:]}" if pattern.startswith("*.") else pattern


def _overlapping(pattern: PathPattern, root: _Branch) -> Iterator[tuple[Rule, str]]:
    """Rules that fit a path of the pattern and are narrower on the left, while the pattern is narrower further on."""
    waiting = [_At(root)]
    for position, segment in enumerate(pattern.segments):
        remaining = pattern.segments[position:]
        for at in waiting:
            if at.winner_narrower and (at.loser_narrower or any(part is not None for part in remaining)):
                tail = "".join(f"/{_PLAIN_SEGMENT if part is None else part}" for part in remaining)
                yield from ((rule, at.path + tail) for rule in at.branch.rest)
        waiting = [step for at in waiting for step in _steps(at, segment)]
    for at in waiting:
        if at.winner_narrower and at.loser_narrower and at.path:
            yield from ((rule, at.path) for rule in (at.branch.rest if pattern.rest else at.branch.exact))


def _steps(at: _At, segment: str | None) -> Iterator[_At]:
    """Where both patterns can go on together."""
    for theirs, branch in at.branch.next.items():
        if segment is not None and theirs not in (segment, None):
            continue
        if (segment is None and theirs == "") or (segment == "" and theirs is None):
            continue  # a parameter is never empty
        shown = theirs if segment is None else segment
        yield _At(
            branch,
            f"{at.path}/{_PLAIN_SEGMENT if shown is None else shown}",
            at.winner_narrower or (segment is None and theirs is not None),
            at.loser_narrower or (segment is not None and theirs is None and at.winner_narrower),
        )
