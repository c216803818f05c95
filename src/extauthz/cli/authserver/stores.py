"""From an address to an open store, and from a coroutine to a command that ends with a sentence."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click
import uvloop

from extauthz.authserver.store.base import DuplicateClientError, StoreError
from extauthz.authserver.store.opening import open_store
from extauthz.authserver.store.sql import SqlStore
from extauthz.cli.authserver.options import read_secret
from extauthz.config.store_address import StoreAddress

_T = TypeVar("_T")


def store_at(address: StoreAddress, password: str | None) -> SqlStore:
    """The store at the address, not opened yet."""
    return open_store(str(address) if address.path else address.with_password(password))


def with_store(address: StoreAddress, password_file: Path | None, work: Callable[[Any], Awaitable[_T]]) -> _T:
    """Open the store, do the work with it, close it; trouble ends the command with its sentence."""
    return with_store_at(address, None if password_file is None else read_secret(password_file), work)


def with_existing_store(address: StoreAddress, password_file: Path | None, work: Callable[[Any], Awaitable[_T]]) -> _T:
    """The same for what asks about things that are there, or changes them."""
    check_there(address)
    return with_store(address, password_file, work)


def check_there(address: StoreAddress) -> None:
    """End the command if the file of the store is not there: a slip in its path must not look like an empty store."""
    if address.path and not Path(address.path).exists():
        raise click.ClickException(f"{address.path}: there is no such store")


def with_store_at(address: StoreAddress, password: str | None, work: Callable[[Any], Awaitable[_T]]) -> _T:
    """The same with the password itself."""

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
