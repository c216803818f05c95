"""A server that is replaced while it runs, by one with new certificates: no connection is refused, no request lost."""

import asyncio
import os
from collections.abc import Callable

from h2corn import Server

MakeServer = Callable[[int], Server]
"""A server on the open socket with this descriptor, with certificates as they are in their files now."""


class Listener:
    """Serves on one open socket. While a server is being replaced, both take connections from it.

    Args:
        make: the server, for a descriptor that belongs to it from then on.
        descriptor: the open socket.
    """

    def __init__(self, make: MakeServer, descriptor: int) -> None:
        self._make = make
        self._descriptor = descriptor
        self._server, self._serving = self._made()
        self._old: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Wait until requests are answered. Raises what keeps the server from starting."""
        await _started(self._server, self._serving)

    async def replace(self) -> None:
        """Make the server anew; the old one takes no more connections and finishes what it has.

        Raises whatever keeps the new one from starting: then the old one goes on.
        """
        server, serving = self._made()
        await _started(server, serving)
        old, ending = self._server, self._serving
        self._server, self._serving = server, serving
        self._old.add(ending)
        ending.add_done_callback(self._old.discard)
        old.shutdown()

    async def ended(self) -> None:
        """Return when the server has ended by itself, which it never should."""
        while not self._serving.done():
            serving = self._serving
            await asyncio.wait([serving])
            if serving is self._serving:
                return

    async def stop(self) -> None:
        """Finish what was begun."""
        self._server.shutdown()
        await asyncio.gather(self._serving, *self._old)

    def _made(self) -> tuple[Server, "asyncio.Task[None]"]:
        server = self._make(os.dup(self._descriptor))
        return server, asyncio.create_task(server.serve())


async def stop_all(*listeners: Listener) -> None:
    """Finish what was begun at each of them, also where another one never started: none is left for the loop to cancel."""
    await asyncio.gather(*(listener.stop() for listener in listeners), return_exceptions=True)


async def _started(server: Server, serving: "asyncio.Task[None]") -> None:
    started = asyncio.ensure_future(server.wait_started())
    await asyncio.wait({started, serving}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        started.cancel()
        await asyncio.gather(started, return_exceptions=True)
        await serving
        raise OSError("the server ended before it began")
    await started
