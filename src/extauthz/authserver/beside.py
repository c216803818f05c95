"""Parts of the server that run behind the requests until it stops: one that ends by an error before that is told."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

_log = logging.getLogger(__name__)


def run_beside(part: Coroutine[object, object, T]) -> asyncio.Task[T]:
    """Run it as a task; nobody waits for its end, so an error that ends it is logged at once, by its type alone."""
    task = asyncio.create_task(part)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[object]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        part = getattr(task.get_coro(), "__qualname__", "")
        fault = type(error).__name__
        _log.error("a part of the server, %s, has ended by %s: restart it if it still runs, and report it", part, fault)
