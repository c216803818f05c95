"""The way of a token, at the one authorization server that the route names.

1. memory   the cache of this process
2. guard    what cannot be a token of the server is refused, and so are too many inactive ones from one address
3. local    what a JWT says for itself, where the server's mode lets that count
4. flight   callers that want the same answer share one
5. shared   what another process has learnt, or is just learning; not for a live question
6. ask      the authorization server; anew if a notice of revocation came meanwhile
7. keep     in memory, and for the other processes
8. stale    when the server cannot be asked: the answer from before, where the server's settings and the route allow it
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, Protocol

from extauthz.core.decision import Reason
from extauthz.core.introspection import (
    MAX_RETRY_AFTER_SECONDS,
    Active,
    Inactive,
    Resolution,
    TokenState,
    Unavailable,
)
from extauthz.core.terms import Terms
from extauthz.core.token import Token
from extauthz.observe.events import Introspected, Observer
from extauthz.resolver.cache import TokenCache, token_hash
from extauthz.resolver.coalesce import NotInTimeError, SingleFlight
from extauthz.resolver.hybrid import Local
from extauthz.resolver.limiter import InactiveLimiter
from extauthz.resolver.select import Selector
from extauthz.resolver.shape import ANY_SHAPE, TokenShape
from extauthz.resolver.tracing import within

Clock = Callable[[], float]

_QUESTIONS: Final = 3
"""Questions about one token in a row, each because the token was revoked while the one before was asked."""

_REVOKED_MEANWHILE = Unavailable(
    reason=Reason.SERVER_TIMEOUT, detail=f"revoked {_QUESTIONS} times in a row while we asked about it"
)
_NOT_IN_TIME = Resolution(
    state=Unavailable(reason=Reason.SERVER_TIMEOUT, detail="no answer before the gateway's own deadline"),
    level="server",
)
_NO_TOKEN_OF_THE_SERVER = Resolution(state=Inactive(), level="refused")


class Introspector(Protocol):
    """Asks one authorization server."""

    async def ask(self, token: Token) -> TokenState:
        """What the server says. Must not raise."""

    async def close(self) -> None:
        """Give connections back."""


class Shared(Protocol):
    """What processes have in common. Must not raise."""

    async def find(self, token: Token, max_age: float | None) -> Resolution | None:
        """What another process has learnt, no older than `max_age` seconds if given."""

    def keep(self, token: Token, state: TokenState, age: float, position: int) -> None:
        """Let the others know."""

    async def close(self) -> None:
        """Give connections back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One authorization server as the resolver sees it."""

    name: str
    cache: TokenCache
    client: Introspector
    shape: TokenShape = ANY_SHAPE
    shared: Shared | None = None
    local: Local | None = None


class _Question(NamedTuple):
    """What is asked, at which server, and on which terms."""

    source: Source
    key: bytes
    token: Token
    terms: Terms


class _Answer(NamedTuple):
    """What the server said, and when its question began: by the clock, and by both counters of notices."""

    state: TokenState
    asked_at: float
    number: int
    position: int


class Resolver:
    """Resolves tokens at the server that the caller names; a token is never shown to another one."""

    def __init__(
        self,
        sources: Iterable[Source],
        *,
        observer: Observer,
        monotonic: Clock = time.monotonic,
        limiter: InactiveLimiter | None = None,
        selector: Selector | None = None,
    ) -> None:
        self._selector = Selector({}) if selector is None else selector
        self._limiter = InactiveLimiter(None, monotonic) if limiter is None else limiter
        self._sources: Mapping[str, Source] = {source.name: source for source in sources}
        self._observer = observer
        self._monotonic = monotonic
        self._flights: SingleFlight[Resolution] = SingleFlight()

    def known(self, server: str, token: Token, max_age: float | None) -> Resolution | None:
        """Step 1: the state of the token if the cache has it, no older than `max_age` seconds; else None."""
        source = self._sources.get(server) or self._chosen(server, token)
        return None if source is None else source.cache.get(source.cache.key(token), max_age)

    async def resolve(self, server: str, token: Token, terms: Terms) -> Resolution:
        """Steps 2 to 8: the state of a token of which nothing is `known`."""
        source = self._sources.get(server) or self._chosen(server, token)
        if source is None:
            return _NO_TOKEN_OF_THE_SERVER
        key = source.cache.key(token)
        if not source.shape.fits(token):  # 2
            return _NO_TOKEN_OF_THE_SERVER
        address = terms.address
        if terms.max_age is not None and _is_active(source.cache.get(key, None)):
            address = ""  # too old for this request, but no bad token
        wait = self._limiter.take(address)
        if wait > 0:
            return _too_many_inactive(wait)
        resolution = await self._learn(_Question(source, key, token, terms))
        if not isinstance(resolution.state, Inactive):
            self._limiter.give_back(address)
        return resolution

    def _chosen(self, servers: str, token: Token) -> Source | None:
        """The one of several servers that the token belongs to."""
        return self._sources.get(self._selector.choose(servers, token))

    async def _learn(self, question: _Question) -> Resolution:
        """Steps 3 to 8."""
        source, key, token, terms = question
        ask = partial(self._ask_within, question)
        local = source.local  # 3
        resolution = await (
            ask(terms.patience) if local is None else local.resolve(key, token, terms.max_age, terms.patience, ask)
        )
        if isinstance(resolution.state, Unavailable):
            stale = source.cache.stale(key, terms.max_age, terms.max_stale)  # 8
            return resolution if stale is None else stale._replace(took_seconds=resolution.took_seconds)
        return resolution

    async def _ask_within(self, question: _Question, patience: float | None) -> Resolution:
        """Steps 4 to 7, within the caller's patience."""
        try:
            return await self._share(question, patience)
        except NotInTimeError:
            return _NOT_IN_TIME

    async def _share(self, question: _Question, patience: float | None) -> Resolution:
        """Step 4. A flight that we join may end with an answer from the shared cache that is too old for us."""
        source, key, _, terms = question
        max_age = terms.max_age
        run = partial(self._flights.run, key, partial(self._fly, question))
        now = self._monotonic()
        newer_than = float("-inf") if max_age is None else now - max_age
        joined = self._flights.in_the_air(key, newer_than=newer_than)
        context = None if joined else within(terms.trace)
        resolution = await run(now=now, newer_than=newer_than, patience=patience, context=context)
        if not joined:
            return resolution
        if resolution.level == "shared" and source.cache.get(key, max_age) is None:
            again = self._monotonic()
            return await run(now=again, newer_than=again, patience=None if patience is None else patience - again + now)
        return resolution._replace(level="joined", took_seconds=0.0)

    async def _fly(self, question: _Question) -> Resolution:
        """Steps 5 to 7."""
        source, key, token, terms = question
        max_age = terms.max_age
        shared = source.shared
        if shared is not None and max_age != 0:
            known = await shared.find(token, max_age)  # 5
            if known is not None:
                return known
        began = self._monotonic()
        answer = await self._ask(source, key, token)  # 6
        now = self._monotonic()
        if shared is not None:
            shared.keep(token, answer.state, now - answer.asked_at, answer.position)  # 7
        known = source.cache.put(key, answer.state, answer.asked_at, answer.number)
        return known._replace(took_seconds=now - began)

    async def _ask(self, source: Source, key: bytes, token: Token) -> _Answer:
        """Step 6."""
        revocations = source.cache.revocations
        for _ in range(_QUESTIONS):
            asked_at, number, position = self._monotonic(), revocations.number, revocations.position
            state = await source.client.ask(token)
            self._observer.introspected(_event(source.name, state, self._monotonic() - asked_at))
            if revocations.last(token_hash(key), state).number <= number:
                return _Answer(state, asked_at, number, position)
        return _Answer(_REVOKED_MEANWHILE, self._monotonic(), revocations.number, revocations.position)

    async def close(self) -> None:
        """End questions in flight and close all connections."""
        await self._flights.close()
        for source in self._sources.values():
            if source.local is not None:
                await source.local.close()
            if source.shared is not None:
                await source.shared.close()
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
