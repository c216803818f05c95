"""The way of a request through Envoy: the filters of a connection manager, in their order, and its routes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from extauthz.config.document import Path
from extauthz.doctor.envoy_api import (
    Cluster,
    EarlyHeaderMutation,
    ExtAuthz,
    ExtAuthzPerRoute,
    FilterConfig,
    HeaderMutation,
    HttpConnectionManager,
    HttpService,
    Listener,
    Message,
    Mutation,
    Packed,
    RouteMatch,
    Router,
)
from extauthz.doctor.envoy_file import EnvoyFile, unpack
from extauthz.doctor.envoy_match import text_matches
from extauthz.doctor.expected import Expected
from extauthz.doctor.findings import Problem, Severity

Overrides = Mapping[str, Packed]
"""Settings of filters for a route, by the name of the filter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One HTTP filter of a chain."""

    index: int
    name: str
    config: Message | None
    disabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route with everything around it that concerns it.

    Attributes:
        path: its place in the connection manager.
        match: which requests it takes.
        overrides: settings of filters, from the outermost to the innermost.
        removed: request headers that are removed on the way to the application, after all filters.
    """

    path: Path
    match: RouteMatch
    overrides: tuple[Overrides, ...]
    removed: frozenset[str]

    @property
    def exact_path(self) -> str:
        """The one path that it takes; empty when it takes more."""
        return self.match.path or ""

    @property
    def title(self) -> str:
        """The requests that it takes, in short."""
        prefix = self.match.prefix or self.match.path_separated_prefix
        return f"path {self.exact_path}" if self.exact_path else f"prefix {prefix}" if prefix else "a pattern of paths"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One HTTP connection manager, at a path of the file, with its filters in their order."""

    file: EnvoyFile
    path: Path
    manager: HttpConnectionManager
    filters: tuple[Filter, ...]
    expected: Expected

    def problem(self, parts: Path, what: str, fix: str, severity: Severity = Severity.ERROR) -> Problem:
        """A problem at a place in the connection manager."""
        return Problem(where=self.file.where((*self.path, *parts)), what=what, fix=fix, severity=severity)

    def routes(self) -> Iterator[Route]:
        """All routes that stand in the file."""
        config = self.manager.route_config
        if config is None:
            return
        for h, host in enumerate(config.virtual_hosts):
            for r, route in enumerate(host.routes):
                path: Path = ("route_config", "virtual_hosts", h, "routes", r)
                around = (config.typed_per_filter_config, host.typed_per_filter_config, route.typed_per_filter_config)
                removed = {
                    *config.request_headers_to_remove,
                    *host.request_headers_to_remove,
                    *route.request_headers_to_remove,
                }
                match = route.match or RouteMatch()
                names = frozenset(name.lower() for name in removed)
                yield Route(path=path, match=match, overrides=around, removed=names)
                weighted = route.route.weighted_clusters if route.route is not None else None
                for c, each in enumerate(weighted.clusters if weighted is not None else ()):
                    inner: Path = (*path, "route", "weighted_clusters", "clusters", c)
                    overrides = (*around, each.typed_per_filter_config)
                    yield Route(path=inner, match=match, overrides=overrides, removed=names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authz:
    """An ext_authz filter in its chain."""

    chain: Chain
    filter: Filter
    config: ExtAuthz

    @property
    def expected(self) -> Expected:
        """What our own files say."""
        return self.chain.expected

    @property
    def http(self) -> HttpService | None:
        """How it asks, when it does not ask by gRPC."""
        return self.config.http_service

    @property
    def cluster_name(self) -> str:
        """Whom it asks; empty when that is no cluster."""
        if self.http is not None:
            return (self.http.server_uri.cluster or "") if self.http.server_uri is not None else ""
        service = self.config.grpc_service
        return service.envoy_grpc.cluster_name if service is not None and service.envoy_grpc is not None else ""

    @property
    def timeout(self) -> tuple[Path, timedelta | None]:
        """Where it stands how long an answer may take, and how long."""
        if self.http is not None:
            uri = self.http.server_uri
            return ("http_service", "server_uri", "timeout"), uri.timeout if uri is not None else None
        service = self.config.grpc_service
        return ("grpc_service", "timeout"), service.timeout if service is not None else None

    def at(self, *parts: str | int) -> Path:
        """Where a setting of the filter stands in the connection manager."""
        return ("http_filters", self.filter.index, "typed_config", *parts)

    def problem(self, parts: Path, what: str, fix: str, severity: Severity = Severity.ERROR) -> Problem:
        """A problem at a place in the filter's settings."""
        return self.chain.problem(self.at(*parts), what, fix, severity)

    def unchecked(self) -> Iterator[Route]:
        """The routes that do without the check."""
        for route in self.chain.routes():
            if is_disabled(route.overrides, self.filter.name):
                yield route

    def strippers(self) -> list[Filter]:
        """The filters before this one that may remove headers."""
        return [
            each
            for each in self.chain.filters
            if each.index < self.filter.index and isinstance(each.config, HeaderMutation) and not each.disabled
        ]

    def removes_before(self, name: str) -> bool:
        """Whether a header of the client is removed before the check."""
        early = (unpack(each.typed_config) for each in self.chain.manager.early_header_mutation_extensions)
        mutations = [
            *(mutation for each in early if isinstance(each, EarlyHeaderMutation) for mutation in each.mutations),
            *(mutation for each in self.strippers() for mutation in request_mutations(each)),
        ]
        return any(removes(mutation, name) for mutation in mutations)


def chains(file: EnvoyFile, expected: Expected) -> list[Chain]:
    """Every HTTP connection manager of the file."""
    static = file.bootstrap.static_resources
    return [
        Chain(
            file=file,
            path=("static_resources", "listeners", index, *path),
            manager=manager,
            filters=_filters(manager),
            expected=expected,
        )
        for index, listener in enumerate(static.listeners if static is not None else ())
        for path, manager in _managers(listener)
    ]


def _filters(manager: HttpConnectionManager) -> tuple[Filter, ...]:
    return tuple(
        Filter(index=index, name=each.name, config=unpack(each.typed_config), disabled=each.disabled)
        for index, each in enumerate(manager.http_filters)
    )


def _managers(listener: Listener) -> Iterator[tuple[Path, HttpConnectionManager]]:
    places: list[tuple[Path, Packed | None]] = []
    for c, chain in enumerate(listener.filter_chains):
        places += [(("filter_chains", c, "filters", f), each.typed_config) for f, each in enumerate(chain.filters)]
    if listener.default_filter_chain is not None:
        filters = enumerate(listener.default_filter_chain.filters)
        places += [(("default_filter_chain", "filters", f), each.typed_config) for f, each in filters]
    for path, packed in places:
        message = unpack(packed)
        if isinstance(message, HttpConnectionManager):
            yield (*path, "typed_config"), message


def authz_filters(chain: Chain) -> list[Authz]:
    """The ext_authz filters of a chain that are in use."""
    return [
        Authz(chain=chain, filter=each, config=each.config)
        for each in chain.filters
        if isinstance(each.config, ExtAuthz) and not each.disabled
    ]


def routers(chain: Chain) -> list[Filter]:
    """The filters that send a request on."""
    return [each for each in chain.filters if isinstance(each.config, Router)]


def clusters(file: EnvoyFile) -> dict[str, tuple[Path, Cluster]]:
    """The clusters of the file by name, each with its place."""
    static = file.bootstrap.static_resources
    return {
        each.name: (("static_resources", "clusters", index), each)
        for index, each in enumerate(static.clusters if static is not None else ())
    }


def request_mutations(stripper: Filter) -> list[Mutation]:
    """What a header_mutation filter does to requests."""
    config = stripper.config
    if not isinstance(config, HeaderMutation) or config.mutations is None:
        return []
    return config.mutations.request_mutations


def removes(mutation: Mutation, name: str) -> bool:
    """Whether a mutation removes a header."""
    if mutation.remove_on_match is not None:
        return text_matches(mutation.remove_on_match.key_matcher, name)
    return (mutation.remove or "").lower() == name


def is_disabled(overrides: tuple[Overrides, ...], name: str) -> bool:
    """Whether the filter of this name is off for a route; the innermost word counts."""
    disabled = False
    for level in overrides:
        message = unpack(level.get(name))
        if isinstance(message, FilterConfig):
            inner = unpack(message.config)
            disabled = message.disabled or (isinstance(inner, ExtAuthzPerRoute) and bool(inner.disabled))
        elif isinstance(message, ExtAuthzPerRoute):
            disabled = bool(message.disabled)
    return disabled


def asks_elsewhere(overrides: tuple[Overrides, ...], name: str) -> bool:
    """Whether a route has somebody else asked than the filter says."""
    messages = [unpack(level.get(name)) for level in overrides]
    settings = [each.check_settings for each in messages if isinstance(each, ExtAuthzPerRoute)]
    return any(each is not None and (each.grpc_service or each.http_service) is not None for each in settings)


def sends_body(overrides: tuple[Overrides, ...], name: str) -> bool:
    """Whether a route has extauthz sent the body of requests."""
    messages = [unpack(level.get(name)) for level in overrides]
    settings = [each.check_settings for each in messages if isinstance(each, ExtAuthzPerRoute)]
    return any(each is not None and each.with_request_body is not None for each in settings)
