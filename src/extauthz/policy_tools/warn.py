"""What is no fault of a policy but probably not meant. Each kind of warning is one function.

unreachable   no request can come to the rule
shadowed      a narrower rule decides alone and refuses a method that a wider one would have taken
ambiguous     two rules fit the same path, each narrower than the other somewhere
tied          two constraints fit the same segment, so that nobody decides
method-gap    GET without HEAD, or HEAD without GET
unknown-scope not in the catalogue `scopes:` of the file
no-audience   tokens that were issued for anybody pass
shadow        everybody passes for the time being
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from extauthz.config.document import Path
from extauthz.config.faults import Fault, nearest
from extauthz.config.policy_schema import PolicyFile, RouteEntry
from extauthz.config.scopes import AnyOf, ScopeSet, Words
from extauthz.core.policy import Rule
from extauthz.core.routes import RouteTable, Trace, Turn
from extauthz.policy_tools.overlap import crossings
from extauthz.policy_tools.samples import Place, Samples
from extauthz.policy_tools.source import SoundSource

_PAIRS = {"GET": "HEAD", "HEAD": "GET"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned:
    """Something doubtful, of the kind by which it can be told apart, as a fault that may stay."""

    kind: str
    fault: Fault


def warnings(source: SoundSource) -> list[Warned]:
    """All of them, in the order of the file."""
    found = [Warned(kind=kind, fault=fault) for kind, look in _KINDS.items() for fault in look(source)]
    return sorted(found, key=lambda each: (each.fault.line, each.fault.column, each.kind))


def _unreachable(source: SoundSource) -> Iterator[Fault]:
    table = source.snapshot.routes
    samples = Samples(table.rules)
    for rule in table.rules:
        takers = _takers(rule, table, samples.places(rule))
        if rule.name not in {taker.name for taker in takers} and not any(each.where for each in (rule, *takers)):
            told = " and ".join(
                f"{name} ({source.near(name, rule.name)})" for name in sorted(taker.name for taker in takers)
            )
            message = f"no request comes to {rule.name}: {told} take all that fits it; take it out, or narrow them"
            yield source.document.fault((*source.path_of(rule.name), "path"), message, value=rule.path)


def _takers(rule: Rule, table: RouteTable, places: list[Place]) -> list[Rule]:
    """The rules that decide what fits this one. With constraints among them, there may be requests that nobody thought of."""
    method = rule.methods[0] if rule.methods else "GET"
    found = (table.match(method, *place) for place in places)
    return list({each.name: each for each in found if each is not None}.values())


class _Shadow(NamedTuple):
    """A wider rule, and the path pattern where a narrower one stands before it."""

    wider: str
    narrower: str


def _shadowed(source: SoundSource) -> Iterator[Fault]:
    """For each method, the table of the rules that take it says which one would have decided."""
    table = source.snapshot.routes
    samples = Samples(table.rules)
    takers = {method: _taking(method, table.rules) for method in samples.methods}
    shadows: dict[_Shadow, list[str]] = {}
    for rule in table.rules:
        place = _own_place(rule, table, samples)
        if not rule.methods or place is None:
            continue
        for method in samples.methods:
            wider = takers[method].match(method, *place)
            if wider is not None and table.match(method, *place) is None:
                shadows.setdefault(_Shadow(wider.name, rule.name), []).append(method)
    for shadow, methods in shadows.items():
        narrower = source.near(shadow.narrower, shadow.wider)
        path = next(_written_path(rule) for rule in table.rules if rule.name == shadow.narrower)
        message = (
            f"{shadow.wider} takes {_some(methods)}, but not at {path}: {shadow.narrower} ({narrower}) is more"
            f" specific, decides alone and does not list {'them' if len(methods) > 1 else 'it'}, so the answer is 403;"
            f" if {'they' if len(methods) > 1 else 'it'} should pass, give that path a route that lists"
            f" {'them' if len(methods) > 1 else 'it'}"
        )
        yield source.document.fault((*source.path_of(shadow.wider), "path"), message)


def _written_path(rule: Rule) -> str:
    where = [f"{name} matches {pattern.text}" for name, pattern in rule.where]
    return f"{rule.path} where {' and '.join(where)}" if where else rule.path


def _own_place(rule: Rule, table: RouteTable, samples: Samples) -> Place | None:
    """Where requests of this rule go; None where only requests that nobody thought of fit its constraints."""
    places = samples.places(rule)
    if rule.where:
        places = [place for place in places if table.match(rule.methods[0] if rule.methods else "GET", *place) is rule]
    return next(iter(places), None)


def _some(methods: list[str]) -> str:
    return f"{', '.join(methods[:-1])} and {methods[-1]}" if len(methods) > 1 else methods[0]


def _taking(method: str, rules: tuple[Rule, ...]) -> RouteTable:
    return RouteTable.build(rule for rule in rules if method in (rule.methods or (method,)))[0]


def _ambiguous(source: SoundSource) -> Iterator[Fault]:
    table = source.snapshot.routes
    for loser, winner, path in crossings(table.rules):
        where = source.near(winner.name, loser.name)
        message = (
            f"{path} fits {loser.name} and {winner.name} ({where}), and neither is narrower in every segment:"
            f" {winner.name} decides, because a literal further left wins; if that is not meant, give {path} a route"
        )
        yield source.document.fault((*source.path_of(loser.name), "path"), message, value=loser.path)


def _tied(source: SoundSource) -> Iterator[Fault]:
    """For each set of rules, the first place that fits the constraints of all of them."""
    table = source.snapshot.routes
    samples = Samples(table.rules)
    told: set[tuple[Rule, ...]] = set()
    for place in (place for rule in table.rules if rule.where for place in samples.doubtful(rule)):
        trace: Trace = []
        table.match("GET", *place, trace)
        tied = tuple(sorted(trace[-1].rules, key=lambda rule: source.path_of(rule.name)))
        if trace[-1].turn is Turn.TIED and tied not in told:
            told.add(tied)
            names = " and ".join(f"{rule.name} ({source.near(rule.name, tied[-1].name)})" for rule in tied)
            message = f"{place.path} fits the constraints of {names}, so none of them decides and the answer is 403"
            yield source.document.fault((*source.path_of(tied[-1].name), "where"), message)


def _method_gaps(source: SoundSource) -> Iterator[Fault]:
    table = source.snapshot.routes
    samples = Samples(table.rules)
    for rule in table.rules:
        place = _own_place(rule, table, samples)
        for listed, other in _PAIRS.items():
            if place and listed in rule.methods and table.match(other, *place) is None:
                wanted = ", ".join(dict.fromkeys((*rule.methods, other)))
                message = f"{rule.name} lists {listed} and not {other}, which is refused: write methods: [{wanted}]"
                yield source.document.fault((*source.path_of(rule.name), "methods"), message)


def _unknown_scopes(source: SoundSource) -> Iterator[Fault]:
    file = source.judged.file
    if file is None or file.scopes is None:
        return
    for path, word in _scopes(file):
        if word not in file.scopes:
            message = f"{word} is not in the catalogue scopes: of this file: correct it, or add it there"
            yield source.document.fault(path, message, hint=nearest(word, file.scopes))


def _scopes(file: PolicyFile) -> Iterator[tuple[Path, str]]:
    """Every scope that the file names outside its catalogue, and where."""
    for word, implied in file.scope_implies.items():
        yield ("scope_implies", word), word
        yield from ((("scope_implies", word, index), each) for index, each in enumerate(implied))
    for name, words in file.scope_sets.items():
        yield from ((("scope_sets", name, index), word) for index, word in _written(words))
    for number, entry in enumerate(file.routes):
        yield from ((("routes", number, "scopes", *path), word) for path, word in _scopes_of(entry))


def _scopes_of(entry: RouteEntry) -> Iterator[tuple[Path, str]]:
    if isinstance(entry.scopes, AnyOf):
        for number, words in enumerate(entry.scopes.any_of):
            yield from ((("any_of", number, index), word) for index, word in _written(words))
    else:
        yield from (((index,), word) for index, word in _written(entry.scopes or ()))


def _written(words: Words) -> Iterator[tuple[int, str]]:
    """The scopes in a list; what a set holds is written elsewhere."""
    return ((index, word) for index, word in enumerate(words) if not isinstance(word, ScopeSet))


def _shadows(source: SoundSource) -> Iterator[Fault]:
    for rule in source.snapshot.routes.rules:
        if rule.shadow:
            message = f"{rule.name} refuses nobody: once the audit log shows what is meant, take shadow out"
            yield source.document.fault((*source.path_of(rule.name), "shadow"), message)


def _no_audience(source: SoundSource) -> Iterator[Fault]:
    """One warning for the file where no route has an audience; else one for each route without."""
    tokens = [rule for rule in source.snapshot.routes.rules if not rule.anonymous]
    open_to_all = [rule for rule in tokens if not rule.audience]
    remedy = "and tokens that were issued for another API pass: write"
    if open_to_all and len(open_to_all) == len(tokens):
        message = f"no route names an audience, {remedy} audience: under defaults:"
        yield source.document.fault(("defaults",), message, on_key=True)
        return
    for rule in open_to_all:
        message = f"{rule.name} names no audience, {remedy} audience: here or under defaults:"
        yield source.document.fault(source.path_of(rule.name), message)


_KINDS: dict[str, Callable[[SoundSource], Iterator[Fault]]] = {
    "unreachable": _unreachable,
    "shadowed": _shadowed,
    "ambiguous": _ambiguous,
    "tied": _tied,
    "method-gap": _method_gaps,
    "unknown-scope": _unknown_scopes,
    "no-audience": _no_audience,
    "shadow": _shadows,
}
