"""A concrete request for each route of a policy: parameters and `**` filled with a word that means nothing."""

from collections.abc import Iterator
from dataclasses import dataclass

from extauthz.core.policy import Rule
from extauthz.core.routes import ANY_METHOD, RouteTable, parse_path

WORD = "doctor"
"""Stands for whatever a client would write there."""

SAFE_METHODS = ("GET", "HEAD")
"""Methods that change nothing, should they get through."""

UNSAFE_METHODS = ("POST", "PUT", "PATCH", "DELETE")
"""What else a route without a list of methods is asked with."""

_WORDS = (WORD, *(f"{WORD}-{number}" for number in range(2, 6)))
_DEPTHS = (1, 0, 2, 3)  # segments for `**`


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A request that a rule decides. `host` is empty when it is the one of the URL."""

    rule: Rule
    method: str
    host: str
    path: str


def methods_of(rule: Rule, *, unsafe: bool) -> tuple[str, ...]:
    """The methods to ask a rule with."""
    listed = rule.methods or (*SAFE_METHODS, *UNSAFE_METHODS)
    return tuple(method for method in listed if unsafe or method in SAFE_METHODS)


def example(routes: RouteTable, rule: Rule, method: str, url_host: str) -> Example | None:
    """A request that this rule decides and no other, or None when none was found."""
    for host in _hosts(rule, url_host):
        for path in _paths(rule):
            if routes.match(method or ANY_METHOD, host, path) is rule:
                return Example(rule=rule, method=method, host="" if host == url_host else host, path=path)
    return None


def _hosts(rule: Rule, url_host: str) -> tuple[str, ...]:
    if rule.host.startswith("*."):
        below = url_host if url_host.endswith(rule.host[1:]) else f"{WORD}{rule.host[1:]}"
        return (below,)
    return (rule.host,) if rule.host else (url_host, f"{WORD}.invalid")


def _paths(rule: Rule) -> Iterator[str]:
    pattern = parse_path(rule.path)
    for word in _WORDS:
        head = [word if segment is None else segment for segment in pattern.segments]
        for depth in _DEPTHS if pattern.rest else (0,):
            yield "/" + "/".join([*head, *[word] * depth])
