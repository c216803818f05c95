"""One process of the authorization server: on sockets that are open already, from ready to stopped.

SIGHUP reads the certificates again: a second listener takes new connections on the same socket, then the first one
finishes what it has.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING, Any

import h2corn

from extauthz.authserver.endpoints import MAX_BATCH_BYTES
from extauthz.authserver.notify import notifying
from extauthz.cli.authserver.assembly import assemble
from extauthz.cli.authserver.stores import store_at
from extauthz.wire.ops import OpsDoor
from extauthz.wire.readiness import Readiness

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.authserver.asgi import Application
    from extauthz.cli.worker import Sockets
    from extauthz.config.authserver_load import AuthServerConfig
    from extauthz.wire.asgi import App

STOP_SECONDS = 10.0
"""Time for requests in flight once the listener is closed."""

_log = logging.getLogger("extauthz.authserver")


async def work(config: AuthServerConfig, sockets: Sockets) -> None:
    """Serve until SIGTERM or SIGINT, or until the supervisor is gone."""
    async with store_at(config.store, config.store_password) as store, notifying(config.notified) as tell:
        parts = assemble(config, store, on_revoked=tell)
        readiness = Readiness()
        listener = Listener(parts.app, sockets.gateway, config)
        beside = [asyncio.ensure_future(each) for each in parts.background]
        if config.settings.ops is not None:
            door = OpsDoor(readiness, parts.metrics.exposition)
            beside.append(asyncio.ensure_future(_server(door, sockets.ops).serve()))
        stop = _stop_event(supervised=sockets.supervised)
        try:
            await listener.start()
            readiness.start()
            await listener.run_until(stop)
        finally:
            readiness.drain()
            await listener.stop()
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)


class Listener:
    """The HTTP server, which is replaced by one with new certificates when asked."""

    def __init__(self, app: Application, descriptor: int, config: AuthServerConfig) -> None:
        self._app = app
        self._descriptor = descriptor
        self._config = config
        self._renew = asyncio.Event()
        self._server, self._serving = self._made()
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._renew.set)

    async def start(self) -> None:
        """Wait until requests are answered. Raises what keeps the server from starting."""
        await _started(self._server, self._serving)

    async def run_until(self, stop: asyncio.Event) -> None:
        """Renew the certificates whenever asked; return on ``stop``, or when the server ended by itself."""
        stopping = asyncio.create_task(stop.wait())
        while not stopping.done() and not self._serving.done():
            asked = asyncio.create_task(self._renew.wait())
            await asyncio.wait({stopping, asked, self._serving}, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                self._renew.clear()
                await self._replace()
            asked.cancel()
        stopping.cancel()

    async def stop(self) -> None:
        """Finish what was begun."""
        self._server.shutdown()
        await self._serving

    async def _replace(self) -> None:
        server, serving = self._made()
        try:
            await _started(server, serving)
        except Exception as error:  # noqa: BLE001 - whatever it is, the old certificates go on
            _log.error("the new certificates cannot be used, the old ones stay: %s", error)
            return
        self._server.shutdown()
        await self._serving
        self._server, self._serving = server, serving
        _log.warning("certificates were read again")

    def _made(self) -> tuple[h2corn.Server, asyncio.Task[None]]:
        server = _server(self._app, os.dup(self._descriptor), **_tls_files(self._config))
        return server, asyncio.create_task(server.serve())


async def _started(server: h2corn.Server, serving: asyncio.Task[None]) -> None:
    started = asyncio.ensure_future(server.wait_started())
    await asyncio.wait({started, serving}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        started.cancel()
        await serving
        raise OSError("the server ended before it began")
    await started


def _server(app: App | Application, descriptor: int, **tls: Any) -> h2corn.Server:  # noqa: ANN401 - as h2corn has it
    config = h2corn.Config(
        **tls,
        bind=(f"fd://{descriptor}",),
        access_log=False,
        date_header=False,
        lifespan="off",
        max_request_body_size=MAX_BATCH_BYTES + 1,  # one more, so that it is us who refuse
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
