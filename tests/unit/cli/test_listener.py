"""Servers that stop together."""

import asyncio

from extauthz.cli.listener import Listener, stop_all


class Broken(Listener):
    """One that never started."""

    def __init__(self) -> None:
        """Make nothing."""

    async def stop(self) -> None:
        """Tell why."""
        raise OSError("no private key")


class Busy(Listener):
    """One with a request in flight."""

    def __init__(self) -> None:
        """Make nothing."""
        self.stopped = False

    async def stop(self) -> None:
        """Take a while."""
        for _ in range(10):
            await asyncio.sleep(0)
        self.stopped = True


async def test_one_that_never_started_does_not_cut_the_other_short() -> None:
    """A server that is cancelled in place of being stopped does not end."""
    busy = Busy()
    await stop_all(Broken(), busy)
    assert busy.stopped
