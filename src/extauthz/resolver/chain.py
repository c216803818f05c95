"""The way of a token: cache, then one shared question to the authorization server that the route names."""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from extauthz.core.decision import Reason
from extauthz.core.introspection import (
    MAX_RETRY_AFTER_SECONDS,
    Active,
    Inactive,
    Resolution,
    TokenState,
    Unavailable,
)
from extauthz.core.token import Token
from extauthz.observe.events import Introspected, Observer
from extauthz.resolver.cache import TokenCache
from extauthz.resolver.coalesce import SingleFlight
from extauthz.resolver.limiter import InactiveLimiter
from extauthz.resolver.shape import ANY_SHAPE, TokenShape

Clock = Callable[[], float]

_OUT_OF_PATIENCE = Unavailable(reason=Reason.SERVER_TIMEOUT, detail="no answer before the gateway's own deadline")
_NO_TOKEN_OF_THE_SERVER = Resolution(state=Inactive(), level="refused")


class Introspector(Protocol):
    """Asks one authorization server."""

    async def ask(self, token: Token) -> TokenState:
        """What the server says. Must not raise."""

    async def close(self) -> None:
        """Give connections back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One authorization server as the resolver sees it."""

    name: str
    cache: TokenCache
    client: Introspector
    shape: TokenShape = ANY_SHAPE


class Resolver:
    """Resolves tokens at the server that the caller names; a token is never shown to another one."""

    def __init__(
        self,
        sources: Iterable[Source],
        *,
        observer: Observer,
        monotonic: Clock = time.monotonic,
        limiter: InactiveLimiter | None = None,
    ) -> None:
        self._limiter = InactiveLimiter(None, monotonic) if limiter is None else limiter
        self._sources: Mapping[str, Source] = {source.name: source for source in sources}
        self._observer = observer
        self._monotonic = monotonic
        self._flights: SingleFlight[Resolution] = SingleFlight()

    def known(self, server: str, token: Token, max_age: float | None) -> Resolution | None:
        """The state of the token if the cache has it, no older than `max_age` seconds; else None."""
        cache = self._sources[server].cache
        return cache.get(cache.key(token), max_age)

    async def resolve(
        self, server: str, token: Token, max_age: float | None, patience: float | None = None, address: str = ""
    ) -> Resolution:
        """The state of the token, no older than `max_age` seconds if given; 0 asks the server anew for this request.

        After `patience` seconds the caller is told that the server is slow; the question itself goes on, so that the
        next one may find the answer in the cache. `address` is whose token it is, to count its inactive ones.
        """
        source = self._sources[server]
        key = source.cache.key(token)
        known = source.cache.get(key, max_age)
        if known is not None:
            return known
        if not source.shape.fits(token):
            return _NO_TOKEN_OF_THE_SERVER
        if max_age is not None and _is_active(source.cache.get(key, None)):
            address = ""  # too old for this request, but no bad token
        wait = self._limiter.take(address)
        if wait > 0:
            return _too_many_inactive(wait)
        resolution = await self._share(source, key, token, max_age, patience)
        if not isinstance(resolution.state, Inactive):
            self._limiter.give_back(address)
        return resolution

    async def _share(
        self, source: Source, key: bytes, token: Token, max_age: float | None, patience: float | None
    ) -> Resolution:
        """The answer to a question that somebody else is asking already, or to a new one."""
        now = self._monotonic()
        oldest = float("-inf") if max_age is None else now - max_age
        try:
            async with asyncio.timeout(patience):
                return await self._flights.run(key, partial(self._ask, source, key, token), now=now, newer_than=oldest)
        except TimeoutError:
            return Resolution(state=_OUT_OF_PATIENCE, level="server")

    async def _ask(self, source: Source, key: bytes, token: Token) -> Resolution:
        asked_at = self._monotonic()
        state = await source.client.ask(token)
        took = self._monotonic() - asked_at
        self._observer.introspected(_event(source.name, state, took))
        return source.cache.put(key, state, asked_at)

    async def close(self) -> None:
        """End questions in flight and close all connections."""
        await self._flights.close()
        for source in self._sources.values():
            await source.client.close()


def _is_active(known: Resolution | None) -> bool:
    return known is not None and isinstance(known.state, Active)


def _too_many_inactive(wait: float) -> Resolution:
    """Told to whoever sent them; `wait` in seconds."""
    retry_after = min(math.ceil(wait), MAX_RETRY_AFTER_SECONDS)
    state = Unavailable(reason=Reason.TOO_MANY_INACTIVE, detail="too many inactive tokens", retry_after=retry_after)
    return Resolution(state=state, level="refused")


def _event(server: str, state: TokenState, took: float) -> Introspected:
    match state:
        case Active():
            return Introspected(server=server, outcome="active", took_seconds=took)
        case Inactive():
            return Introspected(server=server, outcome="inactive", took_seconds=took)
        case Unavailable(reason=reason, detail=detail):
            return Introspected(server=server, outcome=reason.value, took_seconds=took, detail=detail)
