"""The composition root: the only place that names concrete classes, clocks and streams."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from extauthz.app_ladder import limiter, token_for_check
from extauthz.app_record import Recording, recording
from extauthz.app_resolver import Sharing, own_certificate
from extauthz.app_server import ServerParts
from extauthz.app_sources import sources_of, staleness
from extauthz.authorizer import Authorizer
from extauthz.config.load import ServiceConfig
from extauthz.config.own_secrets import read_ops_token
from extauthz.config.recording import Tracing as TracingSection
from extauthz.config.service_schema import ServiceFile
from extauthz.observe.audit import AuditLog
from extauthz.observe.beside import run_beside
from extauthz.observe.certificates import Certificates, Use
from extauthz.observe.events import DECISION_ID_LENGTH, Observer, Observers
from extauthz.observe.log_level import LogLevel
from extauthz.observe.metrics import Metrics
from extauthz.resolver.chain import Resolver, Source
from extauthz.resolver.metadata import Metadata
from extauthz.resolver.select import Selector
from extauthz.resolver.selfcheck import self_check
from extauthz.resolver.watched_file import Current, Fixed, Watched
from extauthz.wire.asgi import App, Receive, Scope, Send
from extauthz.wire.envoy.grpc_asgi import GrpcMethod
from extauthz.wire.envoy.service import CHECK_PATH, HEALTH_PATH, CheckService, HealthService, Options
from extauthz.wire.http.asgi import HttpDoor
from extauthz.wire.known_peers import KnownPeers
from extauthz.wire.ops import OpsDoor
from extauthz.wire.ops_access import Guard
from extauthz.wire.ops_log import LogDoor
from extauthz.wire.ops_revoke import RevokeDoor
from extauthz.wire.readiness import Readiness

if TYPE_CHECKING:
    from extauthz.app_tracing import Tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One worker's parts, wired but not listening.

    Attributes:
        gateway: ASGI application for the gateways: gRPC methods by path, all else HTTP.
        ops: ASGI application for the operator.
        guard: knows who may change something there.
        authorizer: the engine behind all doors.
        check: the Check method from message bytes to message bytes, for the grpcio server.
        health: the health method likewise.
        readiness: to be started once listening, and drained before the end.
        observer: tells the recorders, some decisions at once.
        metrics: what was counted.
        certificates: is told of those that are taken into use.
        log_level: how much is logged.
        sharing: what it has in common with other processes.
        tracing: what makes spans, where that is wanted.
        background: what runs from `start` to `close`, such as finding out where a server is asked.
        check_servers: asks every authorization server about a token that nobody issued, and tells what is wrong.
    """

    gateway: App
    ops: App
    guard: Guard
    authorizer: Authorizer
    check: CheckService
    health: HealthService
    readiness: Readiness
    observer: Observers
    metrics: Metrics
    certificates: Certificates
    log_level: LogLevel
    resolver: Resolver
    sharing: Sharing
    audit: AuditLog | None
    check_servers: Callable[[], Coroutine[None, None, None]]
    tracing: "Tracing | None" = None
    background: tuple[Callable[[], Coroutine[None, None, None]], ...] = ()
    _running: list["asyncio.Task[None]"] = field(default_factory=list)

    def start(self) -> None:
        """Start what runs in the background."""
        self._running.extend(run_beside(run()) for run in self.background)

    async def close(self) -> None:
        """End what runs in the background and questions in flight, count and write what waits."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.resolver.close()
        await self.sharing.close()
        self.observer.flush()
        self.metrics.flush()
        if self.audit is not None:
            self.audit.close()
        if self.tracing is not None:
            await self.tracing.close()


class GatewayApp:
    """One port for both protocols: gRPC methods have their own paths."""

    def __init__(self, methods: Mapping[str, App], http: App) -> None:
        self._methods = methods
        self._http = http

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Hand the request to its door: its coroutine is ours."""
        if scope["type"] != "http":
            return _close_websocket(send)
        return self._methods.get(scope["path"], self._http)(scope, receive, send)


async def _close_websocket(send: Send) -> None:
    await send({"type": "websocket.close"})


def build(config: ServiceConfig, together: Path | None = None) -> Service:
    """Wire a worker. Needs no event loop; connections are opened when they are first used.

    `together`: the folder of the workers of one supervisor, if there is one.
    """
    settings = config.settings
    log_level = LogLevel(settings.log.level, together)
    recorders = recording(settings.audit)
    observer, metrics = recorders.observer, recorders.metrics
    sharing = Sharing(config, observer, together)
    tracing = None if settings.tracing is None else _tracing(settings.tracing)
    certificates = Certificates(metrics.certificate_ends, observer, wall=time.time)
    certificates.taken(own_certificate(config), Use.SHARED_CACHE)
    servers = _servers(config, observer, certificates)
    sources = [source for server in servers for source in sources_of(server, observer, sharing)]
    readiness = Readiness(able=lambda: any(isinstance(server.known(), Metadata) for server in servers))
    resolver = _resolver(settings, servers, sources, observer, tracing)
    authorizer = _authorizer(config, resolver, recorders, tracing)
    _prepare(metrics, servers, sharing, authorizer)
    check, health = CheckService(authorizer, check_options(settings)), HealthService(readiness)
    guard = Guard(_ops_token(config, observer))
    revoke, log = RevokeDoor(guard, sharing.revoke), LogDoor(guard, log_level.set)
    return Service(
        gateway=_gateway(settings, authorizer, check, health),
        ops=OpsDoor(readiness, lambda: _exposition(observer, metrics), revoke, log),
        guard=guard,
        log_level=log_level,
        authorizer=authorizer,
        check=check,
        health=health,
        readiness=readiness,
        observer=observer,
        metrics=metrics,
        certificates=certificates,
        resolver=resolver,
        audit=recorders.audit,
        check_servers=_self_checks(sources, servers, observer),
        background=(sharing.feed.run, sharing.follow_keys, *(run for server in servers for run in server.background())),
        sharing=sharing,
        tracing=tracing,
    )


def _servers(config: ServiceConfig, observer: Observer, certificates: Certificates) -> list[ServerParts]:
    return [
        ServerParts(
            name,
            server,
            observer,
            secret=config.secrets.get(name),
            folder=config.folder,
            certificates=certificates,
        )
        for name, server in config.settings.authorization_servers.items()
    ]


def _resolver(
    settings: ServiceFile,
    servers: list[ServerParts],
    sources: list[Source],
    observer: Observer,
    tracing: "Tracing | None",
) -> Resolver:
    return Resolver(
        sources if tracing is None else map(tracing.source, sources),
        observer=observer,
        monotonic=time.monotonic,
        limiter=limiter(settings.inactive_limit),
        selector=Selector({server.settings.name: server.marks() for server in servers}),
    )


def _authorizer(
    config: ServiceConfig, resolver: Resolver, recorders: Recording, tracing: "Tracing | None"
) -> Authorizer:
    return (Authorizer if tracing is None else tracing.authorizer)(
        policy=config.snapshot,
        resolver=resolver if tracing is None else tracing.resolver(resolver),
        observer=recorders.observer,
        wall=time.time,
        monotonic=time.monotonic,
        decision_ids=_decision_ids(),
        recordable=recorders.recordable,
    )


def _prepare(metrics: Metrics, servers: list[ServerParts], sharing: Sharing, authorizer: Authorizer) -> None:
    """What is told before anything has happened, or is looked up when it is asked for."""
    for server in servers:
        metrics.asks(server.settings.name)
        if (bound := staleness(server)) is not None:
            metrics.bound_staleness(server.settings.name, *bound)
    if sharing.shares_cache:
        metrics.shares_cache()
    metrics.revocations_connected(not sharing.feed.follows)
    metrics.count_waiting(lambda: authorizer.waiting)


def check_options(settings: ServiceFile) -> Options:
    """What the file says about Envoy's gRPC door."""
    return Options(
        outage_is_error=settings.on_outage == "gateway",
        read_extensions=settings.context_extensions,
        read_source=settings.inactive_limit is not None,
    )


def _gateway(settings: ServiceFile, authorizer: Authorizer, check: CheckService, health: HealthService) -> App:
    """Both protocols on one port, for those alone who may ask."""
    methods = {CHECK_PATH: GrpcMethod(check), HEALTH_PATH: GrpcMethod(health)}
    http = HttpDoor(
        authorizer,
        trusted_proxies=settings.trusted_proxies,
        dialects=settings.dialects,
        trust_route_header=settings.trust_route_header,
    )
    gateway = GatewayApp(methods, http)
    names = None if settings.tls is None else settings.tls.client_names
    return gateway if names is None else KnownPeers(gateway, names)


def _tracing(settings: TracingSection) -> "Tracing":
    from extauthz.app_tracing import Tracing  # noqa: PLC0415 - OpenTelemetry is loaded only where it is used

    return Tracing(settings)


def _exposition(observer: Observers, metrics: Metrics) -> tuple[bytes, str]:
    observer.flush()
    return metrics.exposition()


def _decision_ids() -> Callable[[], str]:
    """Unique texts: a random start for each process, then counting, which is cheaper than chance every time."""
    return _count(secrets.token_hex(DECISION_ID_LENGTH // 4)).__next__


def _count(start: str) -> Iterator[str]:
    """All texts of the right length that begin so. The last digits are written once and not every time."""
    tails = [f"{number:03x}" for number in range(0x1000)]
    digits = DECISION_ID_LENGTH - len(start) - 3
    for block in range(16**digits):
        head = f"{start}{block:0{digits}x}"
        for tail in tails:
            yield head + tail


def _ops_token(config: ServiceConfig, observer: Observer) -> Current[str]:
    """What an operator shows, read again when its file changes."""
    source, token = config.settings.ops.token, config.own.ops_token
    if source is None or source.file is None:
        return Fixed("" if token is None else token.reveal())
    path = config.folder / source.file
    return Watched("ops", (path,), lambda: read_ops_token(path), observer=observer, monotonic=time.monotonic)


def _self_checks(
    sources: list[Source], servers: list[ServerParts], observer: Observer
) -> Callable[[], Coroutine[None, None, None]]:
    clients = {source.name: source.client for source in sources}

    async def check(parts: ServerParts) -> None:
        await parts.found()
        name = parts.settings.name
        await self_check(name, clients[name], token_for_check(parts.server.tokens), observer)

    async def check_all() -> None:
        await asyncio.gather(*(check(parts) for parts in wanted))

    wanted = [parts for parts in servers if parts.server.self_check and parts.server.mode != "jwt"]
    return check_all
