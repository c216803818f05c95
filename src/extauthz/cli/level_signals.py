"""SIGUSR1 logs everything, SIGUSR2 what the configuration says."""

import asyncio
import signal

from extauthz.observe.log_level import CONFIGURED, LogLevel


def change_level_on_signals(level: LogLevel) -> None:
    """From now on, in the running loop."""
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, level.set, "debug")
    loop.add_signal_handler(signal.SIGUSR2, level.set, CONFIGURED)
