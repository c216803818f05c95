"""The cache in this process: what tokens are, under a keyed hash of the token.

Entries live by the monotonic clock, so a step of the wall clock cannot revive them; `exp` is also compared with
the wall clock on every hit. Active and inactive answers have separate room: a flood of junk tokens cannot push
out the good ones.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from cachetools import TLRUCache

from extauthz.core.introspection import Active, Inactive, Resolution, TokenState, Unavailable
from extauthz.core.token import Token
from extauthz.resolver.settings import ServerSettings

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class _Entry:
    resolution: Resolution
    asked_at: float


class TokenCache:
    """Answers of one authorization server.

    The key is bound to the server, the client and the parameters of the question, so an answer can never be
    used for another server's token even if two caches were to share a store.
    """

    def __init__(self, settings: ServerSettings, *, secret: bytes, monotonic: Clock, wall: Clock) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._wall = wall
        asked_as = (settings.name, settings.introspection_endpoint, settings.client_id, settings.token_type_hint)
        fingerprint = "\0".join(asked_as)
        self._key = hashlib.blake2b(fingerprint.encode(), key=secret, digest_size=32).digest()
        self._active = self._store(settings.max_entries)
        self._inactive = self._store(max(1, settings.max_entries // 10))

    def _store(self, max_entries: int) -> TLRUCache[bytes, _Entry]:
        return TLRUCache(max_entries, _expiry, timer=self._monotonic)

    def key(self, token: Token) -> bytes:
        """A keyed hash; the token cannot be found from it, nor from a dump of the cache."""
        return hashlib.blake2b(token.reveal().encode(), key=self._key, digest_size=24).digest()

    def get(self, key: bytes, max_age: float | None) -> Resolution | None:
        """A usable answer, or None: then the server must be asked. `max_age` in seconds; 0 is never met."""
        entry = self._known(key)
        if entry is None:
            return None
        if max_age is not None and self._monotonic() - entry.asked_at >= max_age:
            return None
        state = entry.resolution.state
        if isinstance(state, Active) and state.exp is not None and state.exp <= self._wall():
            return None
        return entry.resolution

    def put(self, key: bytes, state: TokenState, asked_at: float) -> Resolution:
        """Keep an answer to a question asked at `asked_at`; an answer to a later question is not overwritten.

        Trouble is never kept, and does not push out what is known.
        """
        if isinstance(state, Unavailable):
            return Resolution(state=state, level="server", fresh_until=asked_at, asked_at=asked_at)
        fresh_until = asked_at + self._lifetime(state)
        entry = _Entry(Resolution(state=state, level="memory", fresh_until=fresh_until, asked_at=asked_at), asked_at)
        known = self._known(key)
        if known is None or known.asked_at <= asked_at:
            self._active.pop(key, None)
            self._inactive.pop(key, None)
            (self._active if isinstance(state, Active) else self._inactive)[key] = entry
        return Resolution(state=state, level="server", fresh_until=fresh_until, asked_at=asked_at)

    def _known(self, key: bytes) -> _Entry | None:
        try:  # `TLRUCache.get` would look twice
            return self._active[key]
        except KeyError:
            return self._inactive.get(key)

    def _lifetime(self, state: Active | Inactive) -> float:
        """Seconds from the question on, never beyond `exp`."""
        if isinstance(state, Active):
            now = self._wall()
            limits = [self._settings.ttl]
            if state.exp is not None:
                limits.append(state.exp - now)
            if state.nbf is not None and state.nbf > now:
                limits += [self._settings.negative_ttl, state.nbf - now]
            return max(0.0, min(limits))
        return self._settings.negative_ttl if state.cacheable else 0.0

    def __len__(self) -> int:
        return len(self._active) + len(self._inactive)


def _expiry(_key: bytes, entry: _Entry, _now: float) -> float:
    return entry.resolution.fresh_until
