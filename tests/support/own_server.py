"""Our own authorization server as a process: with tokens, killed and started again."""

import asyncio
import os
import signal
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from extauthz.authserver.admin import add_client, issue_token
from extauthz.authserver.store.base import token_digest
from extauthz.authserver.store.sqlite import SqliteStore
from extauthz.cli.processes import Process, free_ports
from support.stub_server import AUDIENCE, ISSUER, SECRET

ROUNDS = 4
"""bcrypt's least: the secret is not what is tested."""


class OwnServer:
    """`extauthz authserver serve` on a SQLite file, with the client `gateway`. A context manager.

    Attributes:
        introspection_endpoint: the same after a restart.
    """

    def __init__(self, folder: Path) -> None:
        (port,) = free_ports(1)
        self._store = folder / "as.db"
        self._base = f"http://127.0.0.1:{port}"
        self.introspection_endpoint = f"{self._base}/oauth2/introspect"
        command = [sys.executable, "-m", "extauthz", "authserver", "serve", "--store", f"sqlite:///{self._store}"]
        command += ["--listen", f"127.0.0.1:{port}", "--issuer", ISSUER]
        self.process = Process("authorization server", command, log=folder / "as.log")
        asyncio.run(self._add_client())

    def __enter__(self) -> Self:
        """Start it."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self.process.stop()

    def start(self) -> Self:
        """Start it and wait until it answers."""
        self.process.start().wait_for_http(f"{self._base}/livez")
        return self

    def kill(self) -> None:
        """End it at once, as a crash does."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.stop()

    def issue(self, *subjects: str, scope: str = "orders:read") -> list[str]:
        """A token for each of them."""
        return asyncio.run(self._issue(subjects, scope))

    def revoke(self, token: str) -> None:
        """Revoke it; the server is told nothing and finds out by itself."""
        asyncio.run(self._revoke(token))

    async def _add_client(self) -> None:
        async with SqliteStore(self._store) as store:
            await add_client(
                store, client_id="gateway", secret=SECRET, can_introspect=True, audiences=[AUDIENCE], rounds=ROUNDS
            )

    async def _issue(self, subjects: tuple[str, ...], scope: str) -> list[str]:
        async with SqliteStore(self._store) as store:
            issued = [
                await issue_token(
                    store,
                    client_id="app",
                    sub=sub,
                    scope=scope.split(),
                    audience=[AUDIENCE],
                    ttl_seconds=600,
                    now=time.time(),
                )
                for sub in subjects
            ]
        return [token for token, _ in issued]

    async def _revoke(self, token: str) -> None:
        async with SqliteStore(self._store) as store:
            await store.revoke_token(token_digest(token), revoked_at=int(time.time()))
