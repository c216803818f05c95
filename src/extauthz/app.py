"""The composition root: the only place that names concrete classes, clocks and streams."""

import asyncio
import os
import secrets
import select
import stat
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
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
        observer: tells the recorders, some decisions at once.
        metrics: what was counted.
        check_servers: asks every authorization server about a token that nobody issued, and tells what is wrong.
    """

    gateway: App
    ops: App
    authorizer: Authorizer
    check: CheckService
    health: HealthService
    readiness: Readiness
    observer: Observers
    metrics: Metrics
    resolver: Resolver
    audit: AuditLog | None
    check_servers: Callable[[], Awaitable[object]]

    def flush(self) -> None:
        """Hand on and publish what was recorded. To be called now and then: people and other workers wait for it."""
        self.observer.flush()
        self.metrics.flush()

    async def close(self) -> None:
        """End questions in flight, count and write what waits."""
        await self.resolver.close()
        self.flush()
        if self.audit is not None:
            self.audit.close()


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
    options = Options(
        outage_is_error=settings.on_outage == "gateway",
        read_extensions=settings.context_extensions,
        read_source=settings.inactive_limit is not None,
    )
    check, health = CheckService(authorizer, options), HealthService(readiness)
    methods = {CHECK_PATH: GrpcMethod(check), HEALTH_PATH: GrpcMethod(health)}
    return Service(
        gateway=GatewayApp(
            methods, HttpDoor(authorizer, trusted_proxies=settings.trusted_proxies, dialects=settings.dialects)
        ),
        ops=OpsDoor(readiness, lambda: _exposition(observer, metrics)),
        authorizer=authorizer,
        check=check,
        health=health,
        readiness=readiness,
        observer=observer,
        metrics=metrics,
        resolver=resolver,
        audit=audit,
        check_servers=_self_checks(sources, settings.authorization_servers, observer),
    )


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
