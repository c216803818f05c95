"""Several processes' worth of resolvers in one event loop, sharing a real Redis and one authorization server that counts."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from extauthz.core.introspection import Resolution, TokenState
from extauthz.core.terms import Terms
from extauthz.core.token import Token
from extauthz.resolver.breaker import Breaker, BreakerSettings
from extauthz.resolver.cache import TokenCache
from extauthz.resolver.chain import Resolver, Source
from extauthz.resolver.redis import RedisClient, RedisSettings
from extauthz.resolver.revocation import Revocations
from extauthz.resolver.revocation_feed import RevocationFeed
from extauthz.resolver.revocation_log import RedisLog
from extauthz.resolver.sealing import Keys
from extauthz.resolver.settings import ServerSettings
from extauthz.resolver.shared_cache import SharedCache, Sleep
from extauthz.testing import RecordingObserver, TickingClock, active
from support.redis_server import LOOPBACK, RedisServer

NOW = 1_700_000_000.0
PATIENT = 30.0
"""A time limit for commands that a busy machine does not exceed."""

KEYS = Keys.derive(b"k" * 32)
SETTINGS = ServerSettings(
    name="main",
    introspection_endpoint="https://as.example.com/introspect",
    client_id="gateway",
    ttl=60.0,
    negative_ttl=10.0,
    timeout=30.0,
)
"""A lease is held so long, and must not run out where a busy machine stands still."""
_owners = itertools.count()


@dataclass
class CountingServer:
    """An authorization server that counts its questions; `takes` seconds for each, or until `gate` opens."""

    state: TokenState | Callable[[str], TokenState] = field(default_factory=active)
    takes: float = 0.0
    gate: asyncio.Event | None = None
    asked: Counter[str] = field(default_factory=Counter)
    first_question: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self, token: Token) -> TokenState:
        """What it knew when it was asked."""
        self.asked[token.reveal()] += 1
        self.first_question.set()
        state = self.state(token.reveal()) if callable(self.state) else self.state
        if self.gate is not None:
            await self.gate.wait()
        if self.takes:
            await asyncio.sleep(self.takes)
        return state

    async def close(self) -> None:
        """Nothing to give back."""


class _Once(Exception):  # noqa: N818 - no error
    """One reading is enough."""


async def _once(_seconds: float) -> None:
    raise _Once


def settings_for(server: RedisServer, *, timeout: float = PATIENT, password: str = "") -> RedisSettings:
    """How clients reach it."""
    return RedisSettings(nodes=((LOOPBACK, server.port),), timeout=timeout, password=password)


class Worker:
    """One process: its caches, its clocks, its connections. An asynchronous context manager."""

    def __init__(
        self,
        redis: RedisSettings,
        server: CountingServer,
        *,
        settings: ServerSettings = SETTINGS,
        keyring: Sequence[Keys] = (KEYS,),
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.server = server
        self.monotonic = TickingClock(1000.0)
        self.wall = TickingClock(NOW)
        self.observer = RecordingObserver()
        self.revocations = Revocations(*(keys.name_hash for keys in keyring))
        self.revocations.current = True
        self.breaker = Breaker(BreakerSettings(failures=3, window=3), self.monotonic, random=lambda: 0.0)
        self.redis = RedisClient(redis, self.breaker)
        self.cache = TokenCache(
            settings,
            secret=keyring[0].tokens,
            older=[keys.tokens for keys in keyring[1:]],
            monotonic=self.monotonic,
            wall=self.wall,
            revocations=self.revocations,
        )
        self.shared = SharedCache(
            settings,
            cache=self.cache,
            redis=self.redis,
            keyring=keyring,
            prefix="extauthz",
            owner=f"worker-{next(_owners)}",
            observer=self.observer,
            monotonic=self.monotonic,
            wall=self.wall,
            sleep=sleep,
        )
        self.feed = RevocationFeed(
            self.revocations,
            RedisLog(self.redis, prefix="extauthz"),
            keyring=keyring,
            observer=self.observer,
            monotonic=self.monotonic,
            sleep=_once,
        )
        source = Source(name="main", cache=self.cache, client=server, shared=self.shared)
        self.resolver = Resolver([source], observer=self.observer, monotonic=self.monotonic)

    async def __aenter__(self) -> Self:
        """Nothing is connected yet."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give everything back."""
        await self.resolver.close()
        await self.redis.close()

    def pass_time(self, seconds: float) -> None:
        """For this process alone."""
        self.monotonic.advance(seconds)
        self.wall.advance(seconds)

    async def hear(self) -> None:
        """Read the log of revocations once."""
        with contextlib.suppress(_Once):
            await self.feed.run()

    async def resolve(self, token: str = "t", max_age: float | None = None) -> Resolution:
        """The way of a token; what it leads to is written before this returns."""
        resolution = self.resolver.known("main", Token(token), max_age)
        if resolution is None:
            resolution = await self.resolver.resolve("main", Token(token), Terms(max_age))
        await self.shared.close()
        return resolution
