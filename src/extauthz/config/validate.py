"""A document against its schema, and what routes say about each other. Pure: every fault is collected, none raised."""

from collections.abc import Collection, Iterable, Iterator
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from extauthz.config.compile import Policy, Tie, servers_for
from extauthz.config.credentials import SecretSource
from extauthz.config.document import Document, Path
from extauthz.config.faults import Fault, nearest
from extauthz.config.policy_schema import Defaults, PolicyFile, RouteEntry
from extauthz.config.scope_sets import all_sets
from extauthz.config.sentences import describe, path_of
from extauthz.core.scopes import all_implied

Model = TypeVar("Model", bound=BaseModel)

_EMPTY = "nothing is written here: give the key a value, or take it out"


def validate(model: type[Model], document: Document) -> tuple[Model | None, tuple[Fault, ...]]:
    """The file as a value, or its faults: never both."""
    if document.root is None:
        return None, document.faults
    faults = [*document.faults, *(document.fault_at(place, _EMPTY) for place in document.empty)]
    try:
        value = model.model_validate(document.root.data)
    except ValidationError as error:
        return None, (*faults, *_describe_all(error.errors(include_url=False), model, document))
    return (None, tuple(faults)) if faults else (value, ())


def described_servers(document: Document) -> tuple[str, ...]:
    """Names of all authorization servers in the file, also of those that have faults."""
    servers = document.at(("authorization_servers",))
    return tuple(name for name in servers if isinstance(name, str)) if isinstance(servers, dict) else ()


def sound_secrets(document: Document) -> Iterator[tuple[Path, SecretSource]]:
    """Every source of a secret that has no fault of its own, with its path."""
    for name in described_servers(document):
        path: Path = ("authorization_servers", name, "client", "secret")
        source = sound(SecretSource, document.at(path))
        if source is not None:
            yield path, source


def sound_policy(policy: PolicyFile | None, document: Document) -> Policy:
    """The policy, or as much of it as has no fault of its own."""
    if policy is not None:
        return Policy(
            entries=tuple(enumerate(policy.routes)),
            defaults=policy.defaults,
            realm=policy.realm,
            implications=all_implied(policy.scope_implies),
            scope_sets=all_sets(policy.scope_sets),
        )
    routes = [sound(RouteEntry, document.at(route)) for route in _routes(document)]
    entries = tuple((index, entry) for index, entry in enumerate(routes) if entry is not None)
    defaults = sound(Defaults, document.at(("defaults",)) or {}) or Defaults()
    return Policy(entries=entries, defaults=defaults, realm="api")


def check_names(document: Document) -> list[Fault]:
    """A fault for each route whose name is taken by one before it."""
    first: dict[str, Path] = {}
    faults = []
    for route in _routes(document):
        path = (*route, "name")
        name = document.at(path)
        if not isinstance(name, str):
            continue
        if name in first:
            where = document.near(first[name], path).replace("line", "on line")
            faults.append(document.fault(path, f"the route {where} has this name already", value=name))
        first.setdefault(name, path)
    return faults


def check_servers(policy: Policy, document: Document, names: Collection[str]) -> list[Fault]:
    """A fault for each place that names no authorization server, or one that is not described."""
    if not names:  # the other file has that fault
        return []
    known = ", ".join(sorted(names))
    faults = []
    for section in (("defaults",), *_routes(document)):
        for path, name in _named_servers(section, document):
            if name not in names:
                message = f"no authorization server has this name; there is {known}"
                faults.append(document.fault(path, message, value=name, hint=nearest(name, names)))
    for index, entry in policy.entries:
        if entry.allow is None and not servers_for(entry, policy.defaults, names):
            message = f"write authorization_server: and the one that knows this route's tokens, out of {known}"
            faults.append(document.fault(("routes", index), message))
    return faults


def check_ties(ties: Iterable[Tie], policy: Policy, document: Document) -> list[Fault]:
    """A fault for each pair of routes that would both decide the same request."""
    entries = dict(policy.entries)
    faults = []
    for tie in ties:
        where = document.near(("routes", tie.first), ("routes", tie.second))
        first, second = entries[tie.first].name, entries[tie.second].name
        methods = ", ".join(tie.methods) or "every method"
        message = (
            f"{second} and {first} ({where}) would both decide {methods} here:"
            " give them different methods, paths or hosts, or make them one route"
        )
        faults.append(document.fault(("routes", tie.second, "path"), message))
    return faults


def _named_servers(section: Path, document: Document) -> Iterator[tuple[Path, str]]:
    path: Path = (*section, "authorization_server")
    value = document.at(path)
    named = enumerate(value) if isinstance(value, list) else [(None, value)]
    for index, name in named:
        if isinstance(name, str):
            yield (path if index is None else (*path, index)), name


def _routes(document: Document) -> Iterator[Path]:
    routes = document.at(("routes",))
    return (("routes", index) for index in range(len(routes) if isinstance(routes, list) else 0))


def sound(model: type[Model], data: object) -> Model | None:
    """The section, or None when it has a fault of its own."""
    try:
        return model.model_validate(data)
    except ValidationError:
        return None


def _describe_all(errors: Iterable[ErrorDetails], model: type[BaseModel], document: Document) -> list[Fault]:
    """One fault for one mistake: a value left empty, and a key that stands there misspelt, are reported already."""
    described = [
        (path_of(error), describe(error, model, document)) for error in errors if not _left_empty(error, document)
    ]
    misspelt = {(*path[:-1], fault.hint) for path, fault in described if path and fault.hint and document.has(path)}
    return [fault for path, fault in described if document.has(path) or path not in misspelt]


def _left_empty(error: ErrorDetails, document: Document) -> bool:
    path = path_of(error)
    return error["type"] != "extra_forbidden" and document.has(path) and document.at(path) is None
