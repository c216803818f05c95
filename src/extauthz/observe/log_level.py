"""How much is logged, changed while the service runs, for all processes that share a folder."""

import os
from pathlib import Path
from typing import Final

import structlog

from extauthz.observe.logs import set_level

CONFIGURED: Final = "configured"
"""The level of the configuration."""

_FILE: Final = "log-level"


class LogLevel:
    """The level of this process. What one of them sets is a word in `folder`, where the others `look` for it."""

    def __init__(self, configured: str, folder: Path | None = None) -> None:
        self._configured = configured
        self._file = None if folder is None else folder / _FILE
        self._level = configured
        self._set = CONFIGURED

    def set(self, level: str) -> None:
        """From now on; `CONFIGURED` goes back."""
        self._take(level)
        if self._file is not None:
            mine = self._file.with_name(f"{_FILE}.{os.getpid()}")
            mine.write_text(level)
            mine.replace(self._file)

    def reconfigure(self, configured: str) -> None:
        """The configuration has another level now, which counts unless somebody has set one."""
        self._configured = configured
        self._level = self._wanted()
        set_level(self._level)

    def look(self) -> None:
        """Take what another process has set. To be called now and then."""
        if self._file is not None and self._file.exists():
            self._take(self._file.read_text())

    def _wanted(self) -> str:
        return self._configured if self._set == CONFIGURED else self._set

    def _take(self, level: str) -> None:
        self._set = level
        wanted = self._wanted()
        if wanted != self._level:
            self._level = wanted
            set_level(wanted)
            structlog.get_logger("extauthz").warning("log level changed", to=wanted)
