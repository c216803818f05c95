"""One worker: both listeners on one event loop, from ready to drained.

1. build     every part, from a configuration that is known to be good
2. listen    on sockets that somebody else opened
3. ready     health and /readyz say so
4. drain     on SIGTERM: say no more, go on answering for `drain_delay` so that gateways can notice
5. stop      finish what is in flight, close connections, write what waits in the audit log
"""

import asyncio
import gc
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from grpc import aio
from h2corn import Config, RequestPolicy, Server

from extauthz.app import Service, build
from extauthz.cli.level_signals import change_level_on_signals
from extauthz.cli.reload import Load, reload_on_hangup
from extauthz.config.load import ServiceConfig
from extauthz.config.schema import ServiceFile
from extauthz.wire.asgi import App
from extauthz.wire.envoy.grpcio_server import create_server
from extauthz.wire.envoy.service import CHECK_PATH, HEALTH_PATH, MAX_MESSAGE_BYTES

KEEP_ALIVE_SECONDS = 75.0
"""Longer than NGINX keeps idle connections (60 s), so that it is never we who close under a request."""

STOP_SECONDS = 10.0
"""Time for requests in flight once the listeners are closed."""

MAX_HEAD_BYTES = 64 * 1024
"""Request heads on the HTTP doors; NGINX sends at most four lines of 8 KiB."""


GC_THRESHOLDS = (50_000, 20, 20)
"""Checks make no reference cycles; looking for them every 700 objects, as Python does by default, finds nothing."""

RECORD_SECONDS = 0.05
"""How long a decision may wait to be recorded."""

PUBLISH_SECONDS = 0.25
"""How far metrics of one worker may lag behind what it has recorded, when another one is asked for them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sockets:
    """File descriptors of the open listeners; `supervised` when a supervisor opened them for several workers."""

    gateway: int
    ops: int
    supervised: bool = False


async def work(config: ServiceConfig, sockets: Sockets, load: Load, together: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT, or until the supervisor is gone; a second signal cuts the drain short.

    SIGHUP reads the files again by `load`.
    """
    service = build(config, together)
    service.start()
    stop = _stop_signals(supervised=sockets.supervised)
    settings = config.settings
    servers = [
        _server(
            service.gateway, sockets.gateway, settings, grpc=settings.grpc_server == "h2corn", tls=_tls_files(config)
        ),
        _server(service.ops, sockets.ops, settings, grpc=False),
    ]
    serving = [asyncio.create_task(server.serve()) for server in servers]
    reloading = reload_on_hangup(service, config, load)
    recording = _every(RECORD_SECONDS, service.observer.flush)
    publishing = _every(PUBLISH_SECONDS, service.metrics.flush)
    levelling = _every(PUBLISH_SECONDS, service.log_level.look)
    change_level_on_signals(service.log_level)
    background: list[asyncio.Future[object]] = [
        asyncio.ensure_future(each) for each in (recording, publishing, levelling, reloading)
    ]
    grpcio = await _start_grpcio(service, config, sockets)
    try:
        for server in servers:
            await server.wait_started()
        service.readiness.start()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        _tell_ready(config)
        background.append(asyncio.ensure_future(service.check_servers()))
        await _until(stop, serving)
        await _drain(service, config, stop)
    finally:
        for server in servers:
            server.shutdown()
        if grpcio is not None:
            await grpcio.stop(STOP_SECONDS)
        await asyncio.gather(*serving)
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)  # else what was cancelled may be told as an error
        await service.close()


def _tls_files(config: ServiceConfig) -> dict[str, Any]:
    """The certificates of the gateway listener, as h2corn calls them; none for plain text."""
    tls = config.settings.tls
    if tls is None:
        return {}
    files = {"certfile": config.folder / tls.certificate, "keyfile": config.folder / tls.key}
    if tls.client_ca is None:
        return files
    return {**files, "ca_certs": config.folder / tls.client_ca, "cert_reqs": "required"}


def _server(
    app: App, descriptor: int, settings: ServiceFile, *, grpc: bool, tls: Mapping[str, Any] | None = None
) -> Server:
    config = Config(
        **(tls or {}),
        bind=(f"fd://{descriptor}",),
        grpc=grpc,
        request_policies=tuple(_grpc_limits(path) for path in (CHECK_PATH, HEALTH_PATH)) if grpc else (),
        lifespan="off",
        access_log=False,
        log_format="json" if settings.log.format == "json" else "text",
        date_header=False,
        limit_request_head_size=MAX_HEAD_BYTES,
        max_request_body_size=MAX_MESSAGE_BYTES,
        max_concurrent_streams=1024,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    return Server(app, config)


def _grpc_limits(path: str) -> RequestPolicy:
    """Native gRPC has no limits on h2corn unless a policy names the path."""
    return RequestPolicy(
        path=path,
        max_request_body_size=MAX_MESSAGE_BYTES,
        timeout_request_body_idle=5.0,
        h2_timeout_response_stall=30.0,
    )


async def _start_grpcio(service: Service, config: ServiceConfig, sockets: Sockets) -> aio.Server | None:
    if config.settings.listen.grpc is None:
        return None
    address = str(config.settings.listen.grpc)
    server = create_server(service.check, service.health, address=address, share_port=sockets.supervised)
    await server.start()
    return server


async def _every(seconds: float, act: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        act()


def _stop_signals(*, supervised: bool) -> "asyncio.Queue[int]":
    received: asyncio.Queue[int] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, received.put_nowait, number)
    if supervised:

        def orphaned() -> None:
            loop.remove_reader(0)
            received.put_nowait(signal.SIGTERM)

        loop.add_reader(0, orphaned)  # the supervisor writes nothing: readable means that it is gone
    return received


async def _until(stop: "asyncio.Queue[int]", serving: list[asyncio.Task[None]]) -> None:
    """Wait for a signal, or for a server to end on its own, which it never should."""
    signalled = asyncio.create_task(stop.get())
    await asyncio.wait([signalled, *serving], return_when=asyncio.FIRST_COMPLETED)
    signalled.cancel()


async def _drain(service: Service, config: ServiceConfig, stop: "asyncio.Queue[int]") -> None:
    service.readiness.drain()
    structlog.get_logger("extauthz").info("draining", seconds=config.settings.drain_delay)
    try:
        async with asyncio.timeout(config.settings.drain_delay):
            await stop.get()
    except TimeoutError:
        return


def _tell_ready(config: ServiceConfig) -> None:
    settings = config.settings
    structlog.get_logger("extauthz").info(
        "ready",
        gateway=str(settings.listen.gateway),
        ops=str(settings.listen.ops),
        grpc_server=settings.grpc_server,
        routes=len(config.snapshot.routes.rules),
        authorization_servers=sorted(settings.authorization_servers),
    )
