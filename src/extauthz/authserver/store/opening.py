"""From a URL to the store that it names."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Final

from extauthz.authserver.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from extauthz.authserver.store.sql import SqlStore

_SQLITE: Final = "sqlite:///"
_POSTGRESQL: Final = ("postgresql://", "postgres://")


def open_store(url: str) -> SqlStore:
    """Return the store at ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``postgresql://user@host/name``.

    Nothing is opened yet. Raises ``ValueError`` for any other URL, without repeating it: it may hold a password.
    """
    if url.startswith(_POSTGRESQL):
        if importlib.util.find_spec("asyncpg") is None:
            raise ValueError("PostgreSQL needs a driver: pip install 'extauthz[postgresql]'")
        from extauthz.authserver.store.postgres import PostgresStore  # noqa: PLC0415 - its driver is optional

        return PostgresStore(url)
    path = url.removeprefix(_SQLITE)
    if path == url:
        raise ValueError("a store is sqlite:///path.db or postgresql://user@host/name")
    if path in {"", ":memory:"}:
        raise ValueError("the store needs a file: write sqlite:///path.db")
    return SqliteStore(Path(path))
