"""Routes from the security requirements of an OpenAPI description (3.0, 3.1), and where a policy has drifted from it.

Requirements beside each other are alternatives, schemes and scopes inside one are all needed; `{}` or an empty list lets
everybody pass. Only bearer tokens can be asked for here: `oauth2`, `openIdConnect`, and `http` with `bearer`. What cannot be
expressed is a problem and gets no route, so that it is refused and never open by accident.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from extauthz.config.yaml_source import resolve
from extauthz.core.paths import canonical_host
from extauthz.core.routes import RouteTable, parse_path
from extauthz.policy_tools.listing import needs
from extauthz.policy_tools.samples import Samples
from extauthz.policy_tools.source import SoundSource

METHODS = ("get", "head", "post", "put", "patch", "delete", "options", "trace")
_PARAMETER = re.compile(r"\{([^{}/]*)\}")
_NOT_A_NAME = re.compile(r"[^a-z0-9_.-]+")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9:_./-]*[A-Za-z0-9]|[A-Za-z]")

Alternatives = tuple[tuple[str, ...], ...]


class Route(NamedTuple):
    """What a policy says for some operations; no alternatives at all: everybody passes."""

    name: str
    path: str
    methods: tuple[str, ...]
    alternatives: Alternatives


class Problem(NamedTuple):
    """An operation that got no route, or a difference, and why."""

    where: str
    message: str


class Described(NamedTuple):
    """All routes of a description, its host if it names one, and what could not be expressed."""

    routes: list[Route]
    host: str
    problems: list[Problem]


def described(document: Mapping[str, Any]) -> Described:
    """Read a description."""
    url = urlsplit(str(_first(document.get("servers")).get("url", "")))
    base = url.path.rstrip("/")
    together: dict[tuple[str, Alternatives], list[tuple[str, str]]] = {}
    problems: list[Problem] = []
    for path, method, operation in _operations(document):
        where = f"{method.upper()} {path}"
        try:
            pattern = _pattern(base + path)
            alternatives = _alternatives(operation.get("security", document.get("security")), document)
        except ValueError as error:
            problems.append(Problem(where, str(error)))
            continue
        name = str(operation.get("operationId", f"{method}-{path}"))
        together.setdefault((pattern, alternatives), []).append((method.upper(), name))
    routes = [_route(pattern, alternatives, found) for (pattern, alternatives), found in together.items()]
    return Described(_named_once(routes), canonical_host(url.netloc) or "", problems)


def as_policy(found: Described) -> str:
    """The routes as a policy file, for a person to look through; problems are comments."""
    lines = ["version: 1", "routes:"]
    for route in found.routes:
        allowed = "allow: anonymous" if not route.alternatives else f"scopes: {_scopes(route.alternatives)}"
        lines += [
            f"  - name: {_word(route.name)}",
            f'    path: "{route.path}"',
            f"    methods: [{', '.join(route.methods)}]",
            f"    {allowed}",
        ]
    lines += [f"  # {problem.where}: {problem.message}" for problem in found.problems]
    return "".join(f"{line}\n" for line in lines)


def drift(found: Described, expected: RouteTable, policy: SoundSource) -> list[Problem]:
    """Where the policy asks for something else than the description; `expected` is the description as a table."""
    table = policy.snapshot.routes
    samples = Samples((*expected.rules, *table.rules))
    reached: set[str] = set()
    problems = [*found.problems]
    for rule in expected.rules:
        place = samples.places(rule)[0]  # rules from a description have no constraints
        for method in rule.methods:
            ours = table.match(method, found.host or place.host, place.path)
            where = f"{method} {rule.path}"
            if ours is None:
                problems.append(Problem(where, f"no route; described: {needs(rule)}"))
                continue
            reached.add(ours.name)
            if (ours.anonymous, {*ours.alternatives}) != (rule.anonymous, {*rule.alternatives}):
                message = f"{ours.name} ({policy.where(ours.name)}) needs {needs(ours)}; described: {needs(rule)}"
                problems.append(Problem(where, message))
    others = [rule for rule in table.rules if rule.name not in reached]
    problems += [
        Problem(f"{policy.where(rule.name)}", f"{rule.name} is for nothing that is described") for rule in others
    ]
    return problems


def _operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, written in _mapping(document.get("paths")).items():
        item = _mapping(_resolved(written, document))
        for method in METHODS:
            if isinstance(item.get(method), Mapping):
                yield str(path), method, item[method]


def _resolved(value: Any, document: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any YAML
    """The value, or what its `$ref` within the same document leads to; once, since path items lead no further."""
    reference = _mapping(value).get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/"):
        return value
    found: Any = document
    for part in reference[2:].split("/"):
        found = _mapping(found).get(part.replace("~1", "/").replace("~0", "~"))
    return found


def _pattern(path: str) -> str:
    """The path as a policy writes it.

    Raises:
        ValueError: when it cannot.
    """
    pattern = _PARAMETER.sub(lambda found: "{" + (re.sub(r"\W", "_", found[1], flags=re.ASCII) or "_") + "}", path)
    pattern = re.sub(r"\{(\d)", r"{_\1", pattern)
    parse_path(pattern)
    return pattern


def _alternatives(security: Any, document: Mapping[str, Any]) -> Alternatives:  # noqa: ANN401 - any YAML
    requirements = [_mapping(each) for each in security] if isinstance(security, list) else None
    if requirements is None:
        raise ValueError("it says nothing about security: write security: [] if everybody may pass")
    schemes = _mapping(_mapping(document.get("components")).get("securitySchemes"))
    if not all(requirements):
        return ()
    found = {tuple(sorted(_needed(each, schemes, document))): None for each in requirements}
    return ((),) if () in found else tuple(found)


def _needed(requirement: Mapping[str, Any], schemes: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    for name, scopes in requirement.items():
        scheme = _mapping(_resolved(schemes.get(name), document))
        kind = str(scheme.get("type", "nothing that is described"))
        bearer = kind in ("oauth2", "openIdConnect") or (kind, str(scheme.get("scheme")).lower()) == ("http", "bearer")
        if not bearer:
            raise ValueError(f"the scheme {name} ({kind}) is no bearer token: there is no route for it")
        yield from map(str, scopes if isinstance(scopes, list) else ())


def _route(pattern: str, alternatives: Alternatives, found: list[tuple[str, str]]) -> Route:
    methods = [method for method, _ in found]
    with_head = [each for method in methods for each in ((method, "HEAD") if method == "GET" else (method,))]
    return Route(_slug(found[0][1]), pattern, (*dict.fromkeys(with_head),), alternatives)


def _slug(text: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", text).lower()
    return _NOT_A_NAME.sub("-", words).strip("-_.") or "route"


def _named_once(routes: list[Route]) -> list[Route]:
    taken: set[str] = set()
    named = []
    for route in routes:
        name, number = route.name, 2
        while name in taken:
            name, number = f"{route.name}-{number}", number + 1
        taken.add(name)
        named.append(route._replace(name=name))
    return named


def _scopes(alternatives: Alternatives) -> str:
    lists = [f"[{', '.join(map(_word, words))}]" for words in alternatives]
    return lists[0] if len(lists) == 1 else f"{{any_of: [{', '.join(lists)}]}}"


def _word(text: str) -> str:
    return text if _PLAIN.fullmatch(text) and resolve(text) == text else "'" + text.replace("'", "''") + "'"


def _mapping(value: Any) -> Mapping[str, Any]:  # noqa: ANN401 - any YAML
    return value if isinstance(value, Mapping) else {}


def _first(value: Any) -> Mapping[str, Any]:  # noqa: ANN401 - any YAML
    return _mapping(value[0]) if isinstance(value, list) and value else {}
