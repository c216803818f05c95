"""Parts of the service that run beside the requests until it stops: one that ends before has a defect, which is told."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

import structlog

T = TypeVar("T")

_log: structlog.typing.FilteringBoundLogger = structlog.get_logger("extauthz")


def run_beside(part: Coroutine[None, None, T]) -> "asyncio.Task[T]":
    """Run it as a task; nobody waits for its end, so an error that ends it is logged at once."""
    task = asyncio.create_task(part)
    task.add_done_callback(_ended)
    return task


def _ended(task: "asyncio.Task[T]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        part, fault = getattr(task.get_coro(), "__qualname__", ""), type(error).__name__
        _log.error(
            "a part of the service has ended by a defect", part=part, fault=fault, advice="restart, and report it"
        )
