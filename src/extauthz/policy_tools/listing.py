"""The routes as a table."""

from extauthz.core.demands import Demands
from extauthz.core.policy import Rule
from extauthz.policy_tools.source import SoundSource

COLUMNS = ("line", "name", "methods", "host", "path", "needs", "audience")


def listing(source: SoundSource) -> list[dict[str, str | int]]:
    """One row for each route, by the names in `COLUMNS` and `file`, in the order of the files."""
    rules = source.snapshot.routes.rules
    return [{"file": source.file_of(rule.name), **_row(rule, source.line_of(rule.name))} for rule in rules]


def needs(rule: Rule) -> str:
    """What a request must bring, in few words."""
    if rule.anonymous:
        return "nothing"
    scopes = " or ".join("+".join(sorted(words)) for words in rule.alternatives) or "any valid token"
    issuers = [f"issuer {' or '.join(sorted(rule.issuers))}"] if rule.issuers else []
    shadow = ["only as a shadow: all pass"] if rule.shadow else []
    return "; ".join((scopes, *issuers, *_demanded(rule.demands), *shadow))


def _demanded(demands: Demands | None) -> list[str]:
    if demands is None:
        return []
    clients = [f"client {' or '.join(sorted(demands.clients))}"] if demands.clients else []
    details = [f"authorization detail {each.type}" for each in demands.details]
    actors = [f"actor {' or '.join(sorted(demands.actors))}"] if demands.actors else []
    subject = ["a subject"] if demands.subject else []
    return [*clients, *details, *actors, *subject, *map(str, demands.claims)]


def _row(rule: Rule, line: int) -> dict[str, str | int]:
    return {
        "line": line,
        "name": rule.name,
        "methods": ",".join(rule.methods) or "any",
        "host": rule.host or "any",
        "path": " ".join((rule.path, *(f"{name}={pattern.text}" for name, pattern in rule.where))),
        "needs": needs(rule),
        "audience": rule.audience or ("-" if rule.anonymous else "any"),
    }
