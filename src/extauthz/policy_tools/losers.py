"""Why the other rules did not decide. Whether a rule fits is asked of a table that has this rule alone."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from extauthz.config.faults import nearest
from extauthz.core.policy import Rule
from extauthz.core.routes import RouteTable, Step, Trace, Turn, parse_path
from extauthz.policy_tools.samples import Place, Samples

_TIED = "has a constraint that fits, and so has another rule: none of them comes first"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loser:
    """A rule that did not decide although its path fits, and why."""

    rule: Rule
    because: str


def losers(table: RouteTable, method: str, place: Place, trace: Trace) -> list[Loser]:
    """Every rule whose path fits, except the one that decided; those that decide alone and refuse the method first."""
    samples = Samples(table.rules)
    deciding = _deciding(trace)
    tied = trace[-1].rules if trace and trace[-1].turn is Turn.TIED else ()
    winner = table.match(method, *place)
    found = []
    for rule in table.rules:
        if rule is winner:
            continue
        because = _TIED if rule in tied else _because(rule, method, place, deciding, samples)
        if because:
            found.append(Loser(rule=rule, because=because))
    return sorted(found, key=lambda loser: loser.rule not in deciding)


def look_alike(table: RouteTable, path: str) -> Rule | None:
    """The rule whose path looks most like this one, for a request that fits none."""
    close = nearest(path, (rule.path for rule in table.rules))
    return next((rule for rule in table.rules if rule.path == close), None)


def _deciding(trace: Trace) -> tuple[Rule, ...]:
    """The rules that stand where the look-up ended, whether they take the method or not."""
    last = trace[-1] if trace else Step(Turn.NOTHING, "")
    return last.rules if last.turn is Turn.FOUND else ()


def _because(rule: Rule, method: str, place: Place, deciding: tuple[Rule, ...], samples: Samples) -> str:
    """Why the rule lost; nothing when its path does not fit."""
    alone, _ = RouteTable.build([replace(rule, where=())])
    a_method = rule.methods[0] if rule.methods else method
    if rule in deciding:
        return f"stands exactly here, and lists {' '.join(rule.methods)}, not {method}"
    if alone.match(a_method, *place) is not None:
        if RouteTable.build([rule])[0].match(a_method, *place) is None:
            return f"is only for {' and '.join(f'{{{name}}} that matches {each.text}' for name, each in rule.where)}"
        return _narrower(rule, deciding[0]) if deciding else "is wider than the rules that are tied"
    if rule.host and alone.match(a_method, samples.host(rule), place.path) is not None:
        return f"is for host {rule.host}" + ("" if place.host else ", and the request names none")
    return ""


def _narrower(rule: Rule, winner: Rule) -> str:
    """Why `winner` comes before a rule that fits as well: the first place where they differ."""
    if rule.host != winner.host:
        return f"is for {_host(rule)}, which is wider than {_host(winner)} of {winner.name}"
    mine, theirs = _segments(rule), _segments(winner)
    for number, (own, other) in enumerate(zip(mine, theirs, strict=False), start=1):
        if own != other:
            return f"has {own} as segment {number}, which is wider than {other} of {winner.name}"
    return f"goes on where {winner.name} ends"


def _host(rule: Rule) -> str:
    return f"host {rule.host}" if rule.host else "every host"


def _segments(rule: Rule) -> Iterator[str]:
    pattern, where = parse_path(rule.path), dict(rule.where)
    names = iter(pattern.parameters)
    for segment in pattern.segments:
        constraint = where.get(next(names)) if segment is None else None
        shown = "{…}" if constraint is None else f"{{{constraint.text}}}"
        yield shown if segment is None else segment or "(nothing)"
    yield "**" if pattern.rest else "(the end)"
