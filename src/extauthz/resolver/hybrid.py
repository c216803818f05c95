"""JWTs: what a token says for itself, instead of the authorization server's word or until that has come.

  jwt                   the signature is all: nobody is asked, and what the server revokes is not noticed
  jwt_then_introspect   a bad signature is the end. A good one lets the token pass at once, while the server is asked in
                        the background; the server's word counts from then on, and its "inactive" wins

The server's word is waited for where a route has a `freshness` of its own, after the server has refused the token, after a
notice of revocation about it, and while the server cannot be asked.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from cachetools import LRUCache

from extauthz.core.decision import OUTAGES
from extauthz.core.introspection import Active, Inactive, Resolution, TokenState, Unavailable
from extauthz.core.token import Token
from extauthz.observe.events import Happened, Happening, Observer
from extauthz.resolver.cache import TokenCache
from extauthz.resolver.jwt import Verified
from extauthz.resolver.jwt_verifier import JwtVerifier

Clock = Callable[[], float]
Ask = Callable[[float | None], Awaitable[Resolution]]
"""Gives the server's word, within so many seconds if given."""

_COMPARED: Final = ("iss", "sub", "client_id", "jti")
"""Claims that say which token of whom this is."""

_REFUSED: Final = Resolution(state=Inactive(), level="jwt")


class Local(Protocol):
    """What a token says for itself, as far as that counts."""

    async def resolve(
        self, key: bytes, token: Token, max_age: float | None, patience: float | None, ask: Ask
    ) -> Resolution:
        """The state of a token that is not in the cache. Must not raise."""

    async def close(self) -> None:
        """End what runs in the background."""


class JwtOnly:
    """Mode `jwt`. Notices of revocation are obeyed where they name the token itself or its `jti`."""

    def __init__(self, verifier: JwtVerifier, cache: TokenCache, *, monotonic: Clock) -> None:
        self._verifier = verifier
        self._cache = cache
        self._monotonic = monotonic

    async def resolve(
        self,
        key: bytes,
        token: Token,
        max_age: float | None,  # noqa: ARG002 - of the Protocol
        patience: float | None,  # noqa: ARG002 - of the Protocol
        ask: Ask,  # noqa: ARG002 - of the Protocol
    ) -> Resolution:
        """The verdict about the token's signature and claims; a good one is kept."""
        revocations, asked_at = self._cache.revocations, self._monotonic()
        number = revocations.number
        verdict = await self._verifier.verify(token)
        if isinstance(verdict, Inactive | Unavailable):
            return Resolution(state=verdict, level="jwt")
        if verdict is None or any(revocations.names(name, verdict.state) for name in self._cache.hashes(key, token)):
            return _REFUSED
        return self._cache.put(key, verdict.state, asked_at, number)._replace(level="jwt")

    async def close(self) -> None:
        """Nothing runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HybridSettings:
    """How far a token's own word goes.

    Attributes:
        max_entries: tokens of which it is remembered what the server said about them.
        max_local_age: while the server cannot be asked, tokens that were issued no more than so many seconds ago pass
            by their signature alone; 0 for none.
    """

    max_entries: int
    max_local_age: float = 0.0


class _Answered(NamedTuple):
    """Whether the server called a token active, and how many notices of revocation there were when it was asked."""

    active: bool
    number: int


class JwtThenIntrospect:
    """Mode `jwt_then_introspect`."""

    def __init__(
        self, verifier: JwtVerifier, cache: TokenCache, settings: HybridSettings, *, monotonic: Clock, wall: Clock
    ) -> None:
        self._verifier = verifier
        self._cache = cache
        self._max_local_age = settings.max_local_age
        self._monotonic = monotonic
        self._wall = wall
        self._answered: LRUCache[bytes, _Answered] = LRUCache(settings.max_entries)
        self._answers = True
        self._passing: dict[bytes, Active] = {}
        self._tasks: set[asyncio.Task[Resolution]] = set()

    async def resolve(
        self, key: bytes, token: Token, max_age: float | None, patience: float | None, ask: Ask
    ) -> Resolution:
        """The token's word where that may do for now, else the server's."""
        passing = self._passing.get(key)
        if passing is not None and max_age is None and self._trusts(key, token, passing):
            return self._at_once(passing)
        verdict = await self._verifier.verify(token)
        if verdict is None:
            return await ask(patience)
        if not isinstance(verdict, Verified):
            return Resolution(state=verdict, level="jwt")
        if max_age is None and self._trusts(key, token, verdict.state):
            self._begin(key, verdict.state, ask)
            return self._at_once(verdict.state)
        resolution = await self._listen(key, ask, patience)
        return self._at_once(verdict.state) if self._stands_alone(key, token, verdict, resolution) else resolution

    def _at_once(self, state: Active) -> Resolution:
        return Resolution(state=state, level="jwt", fresh_until=self._monotonic())

    def _trusts(self, key: bytes, token: Token, state: Active) -> bool:
        """Whether the token's word will do until the server's has come."""
        return self._answers and self._is_clear(key, token, state)

    def _is_clear(self, key: bytes, token: Token, state: Active) -> bool:
        """Whether the server's last word about the token was no refusal, and no notice about it came since."""
        revoked = max(self._cache.revocations.last(name, state).number for name in self._cache.hashes(key, token))
        answered = self._answered.get(key, _Answered(active=True, number=0))
        return answered.active and answered.number >= revoked

    def _begin(self, key: bytes, state: Active, ask: Ask) -> None:
        """Ask in the background; until that is over, the token's word is repeated without another look at it."""
        self._passing[key] = state
        task = asyncio.ensure_future(self._listen(key, ask, None))
        self._tasks.add(task)

        def end(task: "asyncio.Task[Resolution]") -> None:
            self._tasks.discard(task)
            self._passing.pop(key, None)

        task.add_done_callback(end)

    async def _listen(self, key: bytes, ask: Ask, patience: float | None) -> Resolution:
        """Ask, and remember how it went."""
        number = self._cache.revocations.number
        resolution = await ask(patience)
        self._answers = not isinstance(resolution.state, Unavailable)
        if self._answers:
            self._answered[key] = _Answered(active=isinstance(resolution.state, Active), number=number)
        return resolution

    def _stands_alone(self, key: bytes, token: Token, verdict: Verified, resolution: Resolution) -> bool:
        """Whether the token passes by its signature, because the server cannot be asked and it is young enough."""
        state = resolution.state
        if not isinstance(state, Unavailable) or state.reason not in OUTAGES or verdict.issued_at is None:
            return False
        return self._is_clear(key, token, verdict.state) and self._wall() - verdict.issued_at < self._max_local_age

    async def close(self) -> None:
        """End the questions that run in the background."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Asks(Protocol):
    """Asks one authorization server."""

    async def ask(self, token: Token, /) -> TokenState:
        """What the server says. Must not raise."""

    async def close(self) -> None:
        """Give connections back."""


class Comparing:
    """Asks the one below, and refuses a token about which the server says something else than the token itself."""

    def __init__(self, inner: Asks, verifier: JwtVerifier, *, server: str, observer: Observer) -> None:
        self._inner = inner
        self._verifier = verifier
        self._server = server
        self._observer = observer

    async def ask(self, token: Token, /) -> TokenState:
        """The server's word. Never raises."""
        state = await self._inner.ask(token)
        verdict = await self._verifier.verify(token) if isinstance(state, Active) else None
        if not isinstance(state, Active) or not isinstance(verdict, Verified):
            return state
        differing = ", ".join(_differing(verdict.state, state))
        if not differing:
            return state
        self._observer.happened(Happened(what=Happening.CLAIM_MISMATCH, subject=self._server, detail=differing))
        return Inactive()

    async def close(self) -> None:
        """Close what it asks with."""
        await self._verifier.close()
        await self._inner.close()


def _differing(token: Active, server: Active) -> Iterator[str]:
    """Names of the claims that both have and that differ."""
    for name in _COMPARED:
        ours, theirs = getattr(token, name), getattr(server, name)
        if None not in (ours, theirs) and ours != theirs:
            yield name
