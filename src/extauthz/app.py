"""The composition root: the only place that names concrete classes, clocks and streams."""

import asyncio
import itertools
import os
import secrets
import select
import stat
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO

from extauthz.app_ladder import introspector, limiter, shape, token_for_check
from extauthz.authorizer import Authorizer
from extauthz.config.load import ServiceConfig
from extauthz.config.schema import AuthorizationServer
from extauthz.observe.audit import AuditLog
from extauthz.observe.events import DECISION_ID_LENGTH, Observer, Observers
from extauthz.observe.logs import TroubleLog
from extauthz.observe.metrics import Metrics
from extauthz.resolver.cache import TokenCache
from extauthz.resolver.chain import Resolver, Source
from extauthz.resolver.selfcheck import self_check
from extauthz.resolver.settings import ClientAuth, ServerSettings
from extauthz.wire.asgi import App, Receive, Scope, Send
from extauthz.wire.envoy.grpc_asgi import GrpcMethod
from extauthz.wire.envoy.service import CHECK_PATH, HEALTH_PATH, CheckService, HealthService, Options
from extauthz.wire.http.asgi import HttpDoor
from extauthz.wire.known_peers import KnownPeers
from extauthz.wire.ops import OpsDoor
from extauthz.wire.readiness import Readiness

_FILE_WRITE_BYTES = 64 * 1024
"""Appended to a file in one write, which Linux does not tear; each write makes the other threads wait in turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One worker's parts, wired but not listening.

    Attributes:
        gateway: ASGI application for the gateways: gRPC methods by path, all else HTTP.
        ops: ASGI application for the operator.
        authorizer: the engine behind all doors.
        check: the Check method from message bytes to message bytes, for the grpcio server.
        health: the health method likewise.
        readiness: to be started once listening, and drained before the end.
        metrics: to be flushed now and then.
        observer: is told what happens to the parts.
        check_servers: asks every authorization server about a token that nobody issued, and tells what is wrong.
    """

    gateway: App
    ops: App
    authorizer: Authorizer
    check: CheckService
    health: HealthService
    readiness: Readiness
    metrics: Metrics
    resolver: Resolver
    audit: AuditLog | None
    observer: Observer
    check_servers: Callable[[], Awaitable[object]]

    async def close(self) -> None:
        """End questions in flight, count and write what waits."""
        await self.resolver.close()
        self.metrics.flush()
        if self.audit is not None:
            self.audit.close()


class GatewayApp:
    """One port for both protocols: gRPC methods have their own paths."""

    def __init__(self, methods: Mapping[str, App], http: App) -> None:
        self._methods = methods
        self._http = http

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request to its door."""
        if scope["type"] != "http":
            await send({"type": "websocket.close"})
            return
        await self._methods.get(scope["path"], self._http)(scope, receive, send)


def build(config: ServiceConfig) -> Service:
    """Wire a worker. Needs no event loop; connections are opened when they are first used."""
    settings = config.settings
    readiness = Readiness()
    metrics = Metrics()
    audit = _audit_log(settings.audit.path, metrics)
    observer = Observers(metrics, TroubleLog(time.monotonic), *([audit] if audit is not None else []))
    cache_secret = secrets.token_bytes(32)
    sources = [
        _source(_server_settings(name, server, config), server, cache_secret, observer)
        for name, server in settings.authorization_servers.items()
    ]
    resolver = Resolver(sources, observer=observer, monotonic=time.monotonic, limiter=limiter(settings.inactive_limit))
    authorizer = Authorizer(
        policy=config.snapshot,
        resolver=resolver,
        observer=observer,
        wall=time.time,
        monotonic=time.monotonic,
        decision_ids=_decision_ids(),
    )
    options = Options(outage_is_error=settings.on_outage == "gateway", read_extensions=settings.context_extensions)
    check, health = CheckService(authorizer, options), HealthService(readiness)
    methods = {CHECK_PATH: GrpcMethod(check), HEALTH_PATH: GrpcMethod(health)}
    http = HttpDoor(
        authorizer,
        trusted_proxies=settings.trusted_proxies,
        dialects=settings.dialects,
        trust_route_header=settings.trust_route_header,
    )
    gateway = GatewayApp(methods, http)
    names = None if settings.tls is None else settings.tls.client_names
    return Service(
        gateway=gateway if names is None else KnownPeers(gateway, names),
        ops=OpsDoor(readiness, metrics.exposition),
        authorizer=authorizer,
        check=check,
        health=health,
        readiness=readiness,
        metrics=metrics,
        resolver=resolver,
        audit=audit,
        observer=observer,
        check_servers=_self_checks(sources, settings.authorization_servers, observer),
    )


def _decision_ids() -> Callable[[], str]:
    """Unique texts: a random start for each process, then counting, which is cheaper than chance every time."""
    half = DECISION_ID_LENGTH // 2
    start = secrets.token_hex(half // 2)
    numbers = itertools.count()
    return lambda: f"{start}{next(numbers) & 0xFFFFFFFF:0{half}x}"


def _source(settings: ServerSettings, server: AuthorizationServer, cache_secret: bytes, observer: Observer) -> Source:
    cache = TokenCache(settings, secret=cache_secret, monotonic=time.monotonic, wall=time.time)
    client = introspector(settings, server, observer)
    return Source(name=settings.name, cache=cache, client=client, shape=shape(server.tokens))


def _self_checks(
    sources: list[Source], servers: Mapping[str, AuthorizationServer], observer: Observer
) -> Callable[[], Awaitable[object]]:
    wanted = [(source, servers[source.name].tokens) for source in sources if servers[source.name].self_check]
    return lambda: asyncio.gather(
        *(self_check(source.name, source.client, token_for_check(tokens), observer) for source, tokens in wanted)
    )


def _server_settings(name: str, server: AuthorizationServer, config: ServiceConfig) -> ServerSettings:
    return ServerSettings(
        name=name,
        introspection_endpoint=server.introspection_endpoint,
        client_id=server.client.id,
        client_secret=config.secrets[name].reveal(),
        client_auth=ClientAuth(server.client.auth),
        issuer=server.issuer,
        token_type_hint="" if server.token_type_hint == "none" else server.token_type_hint,  # noqa: S105 - a hint
        timeout=server.timeout,
        max_connections=server.max_connections,
        ttl=server.cache.ttl,
        negative_ttl=server.cache.negative_ttl,
        max_entries=server.cache.max_entries,
    )


def _audit_log(path: str, metrics: Metrics) -> AuditLog | None:
    if path == "off":
        return None
    stream = _audit_stream(path)
    regular_file = stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    write_bytes = _FILE_WRITE_BYTES if regular_file else select.PIPE_BUF
    return AuditLog(stream, on_loss=metrics.audit_lost, write_bytes=write_bytes)


def _audit_stream(path: str) -> BinaryIO:
    """A stream of the audit log's own, also where it shares the descriptor of standard output or error."""
    if path in ("stdout", "stderr"):
        return open({"stdout": 1, "stderr": 2}[path], "ab", buffering=0, closefd=False)
    return open(path, "ab", buffering=0)  # noqa: PTH123 - open as long as the process
