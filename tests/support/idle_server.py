"""A server that answers nobody, in place of h2corn's: of those, one process holds only one kind."""

import asyncio
import os


class IdleServer:
    """Made as a worker makes its servers; owns the descriptor."""

    def __init__(self, _app: object, descriptor: int, *_: object, **__: object) -> None:
        self._descriptor = descriptor
        self._stop = asyncio.Event()

    async def serve(self) -> None:
        """Until `shutdown`."""
        await self._stop.wait()
        os.close(self._descriptor)

    async def wait_started(self) -> None:
        """It has nothing to do first."""

    def shutdown(self) -> None:
        """End."""
        self._stop.set()
