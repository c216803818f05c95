"""One worker: both listeners on one event loop, from ready to drained.

1. build     every part, from a configuration that is known to be good
2. listen    on sockets that somebody else opened
3. ready     health and /readyz say so
4. drain     on SIGTERM: say no more, go on answering for `drain_delay` so that gateways can notice
5. stop      finish what is in flight, close connections, write what waits in the audit log
"""

import asyncio
import signal
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from h2corn import Config, RequestPolicy, Server

from extauthz.app import Service, build
from extauthz.cli.certificates import as_h2corn_has_it, files_of, renew
from extauthz.cli.garbage import collect_seldom
from extauthz.cli.level_signals import change_level_on_signals
from extauthz.cli.listener import Listener, stop_all
from extauthz.cli.reload.live import Live
from extauthz.cli.reload.running import Ask, alone, supervised
from extauthz.config.load import ServiceConfig
from extauthz.config.service_schema import ServiceFile
from extauthz.observe.beside import run_beside
from extauthz.version import VERSION
from extauthz.wire.asgi import App
from extauthz.wire.envoy.service import CHECK_PATH, HEALTH_PATH, MAX_MESSAGE_BYTES
from extauthz.wire.ops_reload import ReloadDoor

if TYPE_CHECKING:
    from grpc import aio

KEEP_ALIVE_SECONDS = 75.0
"""Longer than NGINX keeps idle connections (60 s), so that it is never we who close under a request."""

STOP_SECONDS = 10.0
"""Time for requests in flight once the listeners are closed."""

MAX_HEAD_BYTES = 64 * 1024
"""Request heads on the HTTP doors; NGINX sends at most four lines of 8 KiB."""


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


async def work(config: ServiceConfig, sockets: Sockets, config_path: Path, together: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT, or until the supervisor is gone; a second signal cuts the drain short.

    SIGHUP has the files read again, of which `config_path` is the first.
    """
    service = build(config, together)
    service.start()
    stop = _stop_signals()
    live = Live(service, config, time.time)
    if sockets.supervised:
        reloading = supervised(live, lambda: stop.put_nowait(signal.SIGTERM))
    else:
        reloading = alone(live, config, config_path)
    async with reloading as ask:
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, ask)
        change_level_on_signals(service.log_level)
        await _serve(service, config, sockets, live=live, ask=ask, stop=stop)


async def _serve(
    service: Service, config: ServiceConfig, sockets: Sockets, *, live: Live, ask: Ask, stop: "asyncio.Queue[int]"
) -> None:
    gateway, ops = _listeners(service, config, sockets, _ops_door(service, live, ask))
    background = [run_beside(each) for each in _background(service, config, gateway)]
    grpcio = await _start_grpcio(service, config, sockets)
    try:
        for listener in (gateway, ops):
            await listener.start()
        service.readiness.start()
        collect_seldom()
        _tell_ready(config)
        background.append(run_beside(service.check_servers()))
        await _until(stop, gateway, ops)
        await _drain(service, live.settings.drain_delay, stop)
    finally:
        stopping = asyncio.ensure_future(stop_all(gateway, ops))
        if grpcio is not None:
            await grpcio.stop(STOP_SECONDS)
        await stopping
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)  # else what was cancelled may be told as an error
        await service.close()


def _ops_door(service: Service, live: Live, ask: Ask) -> ReloadDoor:
    return ReloadDoor(service.ops, service.guard, ask=ask, describe=live.describe)


def _listeners(service: Service, config: ServiceConfig, sockets: Sockets, ops: ReloadDoor) -> tuple[Listener, Listener]:
    settings, tls = config.settings, as_h2corn_has_it(files_of(config))
    grpc = settings.grpc_server == "h2corn"
    return (
        Listener(lambda fd: _server(service.gateway, fd, settings, grpc=grpc, tls=tls), sockets.gateway),
        Listener(lambda fd: _server(ops, fd, settings, grpc=False), sockets.ops),
    )


def _background(service: Service, config: ServiceConfig, gateway: Listener) -> Iterator[Coroutine[None, None, object]]:
    yield _every(RECORD_SECONDS, service.observer.flush)
    yield _every(PUBLISH_SECONDS, service.metrics.flush)
    yield _every(PUBLISH_SECONDS, service.log_level.look)
    if (files := files_of(config)) is not None:
        yield renew(gateway, files, service.observer, service.certificates)


def _server(
    app: App, descriptor: int, settings: ServiceFile, *, grpc: bool, tls: Mapping[str, Any] | None = None
) -> Server:
    config = Config(
        **(tls or {}),
        bind=(f"fd://{descriptor}",),
        runtime_threads=1,  # more than Python's one can feed; two of them wake each other for every answer
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


async def _start_grpcio(service: Service, config: ServiceConfig, sockets: Sockets) -> "aio.Server | None":
    if config.settings.listen.grpc is None:
        return None
    from extauthz.wire.envoy.grpcio_server import create_server  # noqa: PLC0415 - grpcio takes 10 MiB; most have h2corn

    address = str(config.settings.listen.grpc)
    server = create_server(service.check, service.health, address=address, share_port=sockets.supervised)
    await server.start()
    return server


async def _every(seconds: float, act: Callable[[], None]) -> None:
    while True:
        await asyncio.sleep(seconds)
        act()


def _stop_signals() -> "asyncio.Queue[int]":
    received: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, received.put_nowait, number)
    return received


async def _until(stop: "asyncio.Queue[int]", *listeners: Listener) -> None:
    """Wait for a signal, or for a server to end on its own, which it never should."""
    ends = [asyncio.ensure_future(stop.get()), *(asyncio.ensure_future(each.ended()) for each in listeners)]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for end in ends:
        end.cancel()


async def _drain(service: Service, seconds: float, stop: "asyncio.Queue[int]") -> None:
    service.readiness.drain()
    structlog.get_logger("extauthz").info("draining", seconds=seconds)
    try:
        async with asyncio.timeout(seconds):
            await stop.get()
    except TimeoutError:
        return


def _tell_ready(config: ServiceConfig) -> None:
    settings = config.settings
    structlog.get_logger("extauthz").info(
        "ready",
        version=VERSION,
        gateway=str(settings.listen.gateway),
        ops=str(settings.listen.ops),
        grpc_server=settings.grpc_server,
        routes=len(config.snapshot.routes.rules),
        authorization_servers=sorted(settings.authorization_servers),
    )
