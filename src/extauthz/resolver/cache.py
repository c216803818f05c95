"""The cache in this process: what tokens are, under a keyed hash of the token.

Entries live by the monotonic clock, so a step of the wall clock cannot revive them; `exp` is also compared with
the wall clock on every hit. Active and inactive answers have separate room: a flood of junk tokens cannot push
out the good ones.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Final

from cachetools import TLRUCache

from extauthz.core.introspection import Active, Inactive, Resolution, TokenState, Unavailable
from extauthz.core.token import Token
from extauthz.resolver.revocation import Revocations
from extauthz.resolver.sealing import TOKEN_HASH_BYTES, Keys
from extauthz.resolver.settings import ServerSettings
from extauthz.resolver.weight import weigh

Clock = Callable[[], float]

_FINGERPRINT_BYTES: Final = 16
_NOT_IN_FINGERPRINT: Final = frozenset(
    {"timeout", "max_connections", "ttl", "negative_ttl", "stale_if_error", "max_entries", "max_bytes"}
)
"""Settings that change nothing about what an answer means; those that cannot be printed are left out as well."""


@dataclass(slots=True)
class _Entry:
    """An answer, and the number of notices of revocation that it has survived."""

    resolution: Resolution
    number: int


class TokenCache:
    """Answers of one authorization server.

    The key is bound to the server, the client and the parameters of the question, so an answer can never be
    used for another server's token even if two caches share a store.

    Attributes:
        revocations: notices that make entries unusable; all caches of a process share one table of them.
    """

    def __init__(
        self,
        settings: ServerSettings,
        *,
        secret: bytes,
        monotonic: Clock,
        wall: Clock,
        revocations: Revocations | None = None,
    ) -> None:
        self._settings = settings
        self._keyed = hashlib.blake2b(key=secret, digest_size=TOKEN_HASH_BYTES)
        self._monotonic = monotonic
        self._wall = wall
        self.revocations = Revocations(Keys.derive(secret).name_hash) if revocations is None else revocations
        self._fingerprint = fingerprint(settings, secret)
        self._outlives = settings.stale_if_error > 0
        self._active = self._store(settings.max_entries, settings.max_bytes)
        self._inactive = self._store(max(1, settings.max_entries // 10), max(1, settings.max_bytes // 10))

    def _store(self, max_entries: int, max_bytes: int) -> TLRUCache[bytes, _Entry]:
        """Room with two walls: an entry weighs its bytes, and no less than an equal share of the room."""

        @lru_cache(maxsize=1024)  # so that entries of one size share a number, which is a large one
        def weight(size: int) -> int:
            return max(size * max_entries, max_bytes)

        return TLRUCache(
            max_entries * max_bytes,
            self._end,
            timer=self._monotonic,
            getsizeof=lambda entry: weight(weigh(entry.resolution.state)),
        )

    def key(self, token: Token) -> bytes:
        """A keyed hash; the token cannot be found from it, nor from a dump of the cache."""
        digest = self._keyed.copy()  # what `token_key` does, but the key is taken in once
        digest.update(token.reveal().encode())
        return self._fingerprint + digest.digest()

    def get(self, key: bytes, max_age: float | None) -> Resolution | None:
        """A usable answer, or None: then the server must be asked. `max_age` in seconds; 0 is never met."""
        entry = self._known(key)
        if entry is None:
            return None
        if entry.number < self.revocations.number and self._is_revoked(key, entry):
            return None
        if self._outlives and entry.resolution.fresh_until <= self._monotonic():
            return None
        if max_age is not None and self._monotonic() - entry.resolution.asked_at >= max_age:
            return None
        state = entry.resolution.state
        if isinstance(state, Active) and state.exp is not None and state.exp <= self._wall():
            return None
        return entry.resolution

    def stale(self, key: bytes, max_age: float | None, max_stale: float | None = None) -> Resolution | None:
        """An active answer that is too old, but by no more than `stale_if_error`; never past `exp`, never a revoked one.

        `max_stale` seconds, if given, are less than that.

        For a server that cannot be asked. None also where `max_age` is 0: that answer may not be old at all.
        """
        entry = self._known(key)
        if entry is None or max_age == 0 or self._is_revoked(key, entry):
            return None
        now, state = self._monotonic(), entry.resolution.state
        if not isinstance(state, Active) or (state.exp is not None and state.exp <= self._wall()):
            return None
        fresh_until = entry.resolution.fresh_until
        if max_age is not None:
            fresh_until = min(fresh_until, entry.resolution.asked_at + max_age)
        allowed = self._settings.stale_if_error
        if now >= fresh_until + (allowed if max_stale is None else min(max_stale, allowed)):
            return None
        return Resolution(state=state, level="stale", fresh_until=now)

    def put(self, key: bytes, state: TokenState, asked_at: float, number: int = 0) -> Resolution:
        """Keep an answer to a question asked at `asked_at`, when `number` notices of revocation had been taken in.

        An answer to a later question is not overwritten. Trouble is never kept, and does not push out what is known.
        """
        if isinstance(state, Unavailable):
            return Resolution(state=state, level="server", fresh_until=asked_at, asked_at=asked_at)
        fresh_until = self.fresh_until(state, asked_at)
        known_as = Resolution(state=state, level="memory", fresh_until=fresh_until, asked_at=asked_at)
        entry = _Entry(known_as, number)
        known = self._known(key)
        if known is None or known.resolution.asked_at <= asked_at:
            if known is not None:
                self._active.pop(key, None)
                self._inactive.pop(key, None)
            store = self._active if isinstance(state, Active) else self._inactive
            with suppress(ValueError):  # larger than the whole room
                store[key] = entry
        return Resolution(state=state, level="server", fresh_until=fresh_until, asked_at=asked_at)

    def fresh_until(self, state: Active | Inactive, asked_at: float) -> float:
        """Monotonic seconds until which an answer may be repeated: so long after the question, and never beyond `exp`."""
        if isinstance(state, Inactive):
            return asked_at + (self._settings.negative_ttl if state.cacheable else 0.0)
        ends = [asked_at + self._settings.ttl]
        offset = self._monotonic() - self._wall()
        if state.exp is not None:
            ends.append(state.exp + offset)
        if state.nbf is not None and state.nbf + offset > asked_at:
            ends += [asked_at + self._settings.negative_ttl, state.nbf + offset]
        return max(asked_at, min(ends))

    def _known(self, key: bytes) -> _Entry | None:
        try:  # `TLRUCache.get` would look twice
            return self._active[key]
        except KeyError:
            return self._inactive.get(key)

    def _is_revoked(self, key: bytes, entry: _Entry) -> bool:
        """Whether a notice came after the question; if not, the entry need not be looked at again until the next one."""
        if self.revocations.last(token_hash(key), entry.resolution.state).number > entry.number:
            return True
        entry.number = self.revocations.number
        return False

    def _end(self, _key: bytes, entry: _Entry, _now: float) -> float:
        """When an entry is thrown away."""
        fresh_until = entry.resolution.fresh_until
        keeps = self._outlives and isinstance(entry.resolution.state, Active)
        return fresh_until + self._settings.stale_if_error if keeps else fresh_until

    def __len__(self) -> int:
        return len(self._active) + len(self._inactive)


def fingerprint(settings: ServerSettings, secret: bytes) -> bytes:
    """Stands for the server, for who asks it, how, and how answers are read."""
    told = (one.name for one in fields(settings) if one.repr and one.name not in _NOT_IN_FINGERPRINT)
    text = "\0".join(f"{name}={getattr(settings, name)!r}" for name in told)
    return hashlib.blake2b(text.encode(), key=secret, digest_size=_FINGERPRINT_BYTES).digest()


def token_key(fingerprint: bytes, secret: bytes, token: Token) -> bytes:
    """The key of a token: a fingerprint, and a keyed hash of the token."""
    return fingerprint + hashlib.blake2b(token.reveal().encode(), key=secret, digest_size=TOKEN_HASH_BYTES).digest()


def token_hash(key: bytes) -> str:
    """The part of a key that stands for the token at whichever server, as notices of revocation have it."""
    return key[_FINGERPRINT_BYTES:].hex()
