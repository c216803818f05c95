"""One process of the authorization server: on sockets that are open already, from ready to stopped.

SIGHUP reads the certificates again: a second listener takes new connections on the same socket, then the first one
finishes what it has.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from typing import Any

import h2corn

from extauthz.authserver.asgi import Application
from extauthz.authserver.beside import run_beside
from extauthz.authserver.endpoints import MAX_BATCH_BYTES
from extauthz.authserver.outbox import notifying
from extauthz.cli.authserver.assembly import assemble
from extauthz.cli.authserver.stores import store_at
from extauthz.cli.listener import Listener
from extauthz.cli.worker import Sockets
from extauthz.config.authserver_load import AuthServerConfig
from extauthz.keyfiles import UnusableError, read_validity
from extauthz.wire.asgi import App
from extauthz.wire.ops import OpsDoor
from extauthz.wire.readiness import Readiness

STOP_SECONDS = 10.0
"""Time for requests in flight once the listener is closed."""

MAX_HEAD_BYTES = 64 * 1024
"""Of a request: tokens and secrets stand in the body."""

BODY_IDLE_SECONDS = 10.0
"""How long a request may send nothing of its body before the connection is closed."""

_log = logging.getLogger("extauthz.authserver")


async def work(config: AuthServerConfig, sockets: Sockets) -> None:
    """Serve until SIGTERM or SIGINT, or until the supervisor is gone."""
    async with store_at(config.store, config.store_password) as store, notifying(store, config.notified) as wake:
        parts = assemble(config, store, on_revoked=wake)
        readiness = Readiness()
        tls = _tls_files(config)
        listener = Listener(lambda descriptor: _server(parts.app, descriptor, **tls), sockets.gateway)
        beside = [run_beside(each) for each in parts.background]
        if config.settings.ops is not None:
            door = OpsDoor(readiness, parts.metrics.exposition)
            beside.append(run_beside(_server(door, sockets.ops).serve()))
        stop = _stop_event(supervised=sockets.supervised)
        try:
            await listener.start()
            _tell_dates(config, parts.metrics.certificate_ends)
            readiness.start()
            await _run(listener, stop, lambda: _tell_dates(config, parts.metrics.certificate_ends))
        finally:
            readiness.drain()
            await listener.stop()
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)


async def _run(listener: Listener, stop: asyncio.Event, renewed: Callable[[], None]) -> None:
    """Renew the certificates whenever SIGHUP asks, and tell; return on `stop`, or when the server ended by itself."""
    renew = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, renew.set)
    renewing = asyncio.ensure_future(_renew(listener, renew, renewed))
    ends = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(listener.ended()), renewing]
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for end in ends:
        end.cancel()
    await asyncio.gather(*ends, return_exceptions=True)


async def _renew(listener: Listener, asked: asyncio.Event, renewed: Callable[[], None]) -> None:
    while True:
        await asked.wait()
        asked.clear()
        try:
            await listener.replace()
        except Exception as error:  # noqa: BLE001 - whatever it is, the old certificates go on
            _log.error("the new certificates cannot be used, the old ones stay: %s", error)
        else:
            _log.warning("certificates were read again")
            renewed()


def _tell_dates(config: AuthServerConfig, measure: Callable[[float], None]) -> None:
    """Measure when the certificate ends that is shown from now on; one that is not good now is told, and shown all the same."""
    if config.settings.tls is None:
        return
    path = config.folder / config.settings.tls.certificate
    try:
        validity = read_validity(path)
    except UnusableError as error:
        objection = str(error)
    else:
        measure(validity.ends)
        objection = validity.objection(time.time())
    if objection:
        _log.warning("the certificate is shown, but may be refused: %s: %s", path, objection)


def _server(app: App | Application, descriptor: int, **tls: Any) -> h2corn.Server:  # noqa: ANN401 - as h2corn has it
    config = h2corn.Config(
        **tls,
        bind=(f"fd://{descriptor}",),
        access_log=False,
        date_header=False,
        lifespan="off",
        limit_request_head_size=MAX_HEAD_BYTES,
        max_request_body_size=MAX_BATCH_BYTES + 1,  # one more, so that it is us who refuse
        timeout_request_body_idle=BODY_IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    return h2corn.Server(app, config)


def _tls_files(config: AuthServerConfig) -> dict[str, Any]:
    tls = config.settings.tls
    if tls is None:
        return {}
    files = {"certfile": config.folder / tls.certificate, "keyfile": config.folder / tls.key}
    if tls.client_ca is None:
        return files
    return {**files, "ca_certs": config.folder / tls.client_ca, "cert_reqs": "optional"}


def _stop_event(*, supervised: bool) -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if supervised:
        loop.add_reader(0, _orphaned(loop, stop))  # the supervisor writes nothing: readable means that it is gone
    return stop


def _orphaned(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> Callable[[], None]:
    def orphaned() -> None:
        loop.remove_reader(0)
        stop.set()

    return orphaned
