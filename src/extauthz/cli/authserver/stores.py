"""From an address to an open store, and from a coroutine to a command that ends with a sentence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import click
import uvloop

from extauthz.authserver.store.base import DuplicateClientError, StoreError
from extauthz.authserver.store.sqlite import SqliteStore
from extauthz.cli.authserver.options import read_secret

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from pathlib import Path
    from types import ModuleType

    from extauthz.authserver.store.sql import SqlStore
    from extauthz.config.store_address import StoreAddress

_T = TypeVar("_T")

_NO_DRIVER = "PostgreSQL needs a driver that is not installed: pip install 'extauthz[postgresql]'"


def store_at(address: StoreAddress, password: str | None) -> SqlStore:
    """The store at the address, not opened yet."""
    if address.path:
        return SqliteStore(address.path)
    store: SqlStore = postgres().PostgresStore(address.with_password(password))
    return store


def with_store(address: StoreAddress, password_file: Path | None, work: Callable[[Any], Awaitable[_T]]) -> _T:
    """Open the store, do the work with it, close it; trouble ends the command with its sentence."""
    password = None if password_file is None else read_secret(password_file)

    async def opened() -> _T:
        async with store_at(address, password) as store:
            return await work(store)

    return run(opened())


def run(work: Coroutine[object, object, _T]) -> _T:
    """Run on a loop of its own; trouble ends the command with its sentence."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    except (DuplicateClientError, StoreError, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def postgres() -> ModuleType:
    """The module of the PostgreSQL store, whose driver is an extra."""
    try:
        from extauthz.authserver.store import postgres as module  # noqa: PLC0415 - an optional dependency
    except ModuleNotFoundError as error:
        raise click.ClickException(_NO_DRIVER) from error
    return module
