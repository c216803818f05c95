"""Introspection for Python services: what a token means, asked and remembered as extauthz itself does it.

    async with TokenClient(introspection_endpoint=…, client_id="orders", client_secret=…) as tokens:
        match await tokens.introspect(text):
            case Active(sub=sub, scopes=scopes):
                …                                # who it is and what it may do
            case Inactive():
                …                                # 401: not a token, or not any more
            case Unavailable(retry_after=seconds):
                …                                # 503: nobody knows; the client must keep its token

Concurrent questions about one token are one question, answers are kept no longer than `exp`, and trouble is a value and
not an exception. Whoever asks needs an event loop, the one that the client was first used on.
"""

import asyncio
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self

from pydantic import ValidationError

from extauthz.app_server import ServerParts
from extauthz.app_sources import sources_of
from extauthz.config.compile import source_name
from extauthz.config.secret import Secret
from extauthz.config.service_schema import AuthorizationServer
from extauthz.core.bearer import extract
from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Inactive, TokenState
from extauthz.core.terms import Terms
from extauthz.observe.events import Observer, Observers
from extauthz.resolver.cache import TokenCache
from extauthz.resolver.chain import Resolver
from extauthz.resolver.revocation import Kind, Notice, Revocations
from extauthz.resolver.sealing import SECRET_BYTES, Keys
from extauthz.resolver.settings import ServerSettings

_NAME: Final = "main"

Mode = Literal["introspect", "jwt", "jwt_then_introspect"]


class TokenClient:
    """Knows what the tokens of one authorization server mean.

    Args:
        introspection_endpoint: absolute URL (RFC 7662); not needed with `discovery`, nor in mode `jwt`.
        issuer: what the server calls itself; answers that name another one are inactive.
        client_id: who we are to the server.
        client_secret: shown nowhere.
        mode: whether the server is asked, the token's signature looked at, or the one first and then the other.
        observer: hears of every question and of all trouble; see `extauthz.observe.events`.
        folder: what paths in `more` are relative to.
        more: any other key of an authorization server in docs/configuration.md, as `cache={"ttl": "30s"}`.

    Raises:
        ValueError: naming every argument that does not fit.
    """

    def __init__(
        self,
        *,
        introspection_endpoint: str | None = None,
        issuer: str | None = None,
        client_id: str | None = None,
        client_secret: str | None = None,
        mode: Mode = "introspect",
        observer: Observer | None = None,
        folder: Path = Path(),
        **more: Any,  # noqa: ANN401 - what the schema takes
    ) -> None:
        said = {"introspection_endpoint": introspection_endpoint, "issuer": issuer, "mode": mode, **more}
        if client_id is not None:
            said["client"] = {"id": client_id, **more.get("client", {}), **_secret_from_us(client_secret)}
        server = _judged({name: value for name, value in said.items() if value is not None})
        secret = None if client_secret is None else Secret(client_secret)
        observer = Observers() if observer is None else observer
        self._memory = _Memory()
        self._parts = ServerParts(_NAME, server, observer, secret=secret, folder=folder)
        self._resolver = Resolver(sources_of(self._parts, observer, self._memory), observer=observer)
        self._source = source_name(_NAME, mode, {_NAME: server})
        self._leeway = server.leeway
        self._patience = server.timeout
        self._background: list[asyncio.Task[None]] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def introspect(self, token: str, *, max_age: float | None = None) -> TokenState:
        """What the token means now. Never raises, except that cancellation passes through.

        `max_age` in seconds bounds the age of a remembered answer; 0 asks the server anew.
        """
        found = extract((f"Bearer {token}",))
        if isinstance(found, Reason):
            return Inactive(reason=found)
        if self._background is None:
            await self._begin()
        resolution = self._resolver.known(self._source, found, max_age)
        if resolution is None:
            resolution = await self._resolver.resolve(self._source, found, Terms(max_age))
        return self._in_time(resolution.state)

    def forget(self, token: str) -> None:
        """Remember nothing about the token from before: the next question goes to the server."""
        self._memory.forget(token)

    async def _begin(self) -> None:
        """Start what runs beside the questions. Where the server is asked is waited for, as long as for an answer."""
        self._background = [asyncio.create_task(run()) for run in self._parts.background()]
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience):
                await self._parts.found()

    async def close(self) -> None:
        """End what runs beside the questions, questions in flight, and close all connections."""
        tasks = self._background or []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._resolver.close()

    def _in_time(self, state: TokenState) -> TokenState:
        """As of now, by the wall clock (RFC 7519 §4.1.4, §4.1.5): what is remembered may have run out meanwhile."""
        if isinstance(state, Active):
            now = time.time()
            if state.exp is not None and state.exp + self._leeway <= now:
                return Inactive(reason=Reason.EXPIRED)
            if state.nbf is not None and state.nbf - self._leeway > now:
                return Inactive(reason=Reason.NOT_YET_VALID)
        return state


class _Memory:
    """Answers and notices, in this process alone."""

    def __init__(self) -> None:
        self._keys = Keys.derive(secrets.token_bytes(SECRET_BYTES))
        self._revocations = Revocations(self._keys.name_hash)

    def cache(self, settings: ServerSettings) -> TokenCache:
        """The memory of this process."""
        return TokenCache(
            settings,
            secret=self._keys.tokens,
            monotonic=time.monotonic,
            wall=time.time,
            revocations=self._revocations,
        )

    def shared(self, _settings: ServerSettings, _cache: TokenCache) -> None:
        """There is no other."""

    def forget(self, token: str) -> None:
        """Drop what is remembered about a token."""
        self._revocations.take(Notice(Kind.TOKEN, self._keys.token_hash(token).hex()))


def _secret_from_us(secret: str | None) -> dict[str, object]:
    """A source that satisfies the schema; the secret itself is handed over beside it and never goes through there."""
    return {} if secret is None else {"secret": {"env": "HANDED_OVER"}}


def _judged(said: Mapping[str, object]) -> AuthorizationServer:
    try:
        return AuthorizationServer.model_validate(said)
    except ValidationError as error:
        faults = [
            f"{'.'.join(map(str, fault['loc'])) or 'arguments'}: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_url=False, include_input=False)
        ]
        raise ValueError("; ".join(faults)) from None
