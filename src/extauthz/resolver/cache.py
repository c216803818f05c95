"""The cache in this process: what tokens are, under a keyed hash of the token.

Entries live by the monotonic clock, so a step of the wall clock cannot revive them; `exp` is also compared with
the wall clock on every hit. Active and inactive answers have separate room: a flood of junk tokens cannot push
out the good ones.
"""

import hashlib
from collections.abc import Callable
from operator import attrgetter

from extauthz.core.introspection import Active, Inactive, Resolution, TokenState, Unavailable
from extauthz.core.token import Token
from extauthz.resolver.room import Room
from extauthz.resolver.settings import ServerSettings

Clock = Callable[[], float]


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
        key = hashlib.blake2b(fingerprint.encode(), key=secret, digest_size=32).digest()
        self._keyed = hashlib.blake2b(key=key, digest_size=24)
        self._active = self._room(settings.max_entries)
        self._inactive = self._room(max(1, settings.max_entries // 10))

    def _room(self, max_entries: int) -> Room[Resolution]:
        return Room(max_entries, end=_fresh_until, clock=self._monotonic)

    def key(self, token: Token) -> bytes:
        """A keyed hash; the token cannot be found from it, nor from a dump of the cache."""
        hashed = self._keyed.copy()
        hashed.update(token.reveal().encode())
        return hashed.digest()

    def get(self, key: bytes, max_age: float | None) -> Resolution | None:
        """A usable answer, or None: then the server must be asked. `max_age` in seconds; 0 is never met."""
        known = self._active.get(key) or self._inactive.get(key)
        if known is None:
            return None
        if max_age is not None and self._monotonic() - known.asked_at >= max_age:
            return None
        state = known.state
        if isinstance(state, Active) and state.exp is not None and state.exp <= self._wall():
            return None
        return known

    def put(self, key: bytes, state: TokenState, asked_at: float) -> Resolution:
        """Keep an answer to a question asked at `asked_at`; an answer to a later question is not overwritten.

        Trouble is never kept, and does not push out what is known.
        """
        if isinstance(state, Unavailable):
            return Resolution(state=state, level="server", fresh_until=asked_at, asked_at=asked_at)
        fresh_until = asked_at + self._lifetime(state)
        kept = Resolution(state=state, level="memory", fresh_until=fresh_until, asked_at=asked_at)
        known = self._active.get(key) or self._inactive.get(key)
        if known is None or known.asked_at <= asked_at:
            room, other = (
                (self._active, self._inactive) if isinstance(state, Active) else (self._inactive, self._active)
            )
            other.drop(key)
            room.put(key, kept)
        return Resolution(state=state, level="server", fresh_until=fresh_until, asked_at=asked_at)

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


_fresh_until = attrgetter("fresh_until")
