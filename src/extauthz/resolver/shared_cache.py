"""The cache that processes share, in Redis: what one of them has learnt about a token, the others need not ask.

Redis sees hashes and sealed boxes, and is believed in nothing else: a value that was made for another token or server, or
changed in any bit, does not open; one that is older than it may be, or than a notice about its token, is not used. At
worst it withholds values, and then this process asks for itself.

Who finds no value takes a lease with the same command, and asks; the others look again when the answer should be there, and
then until it is, or until the lease is gone. So many processes ask about a token as often as one would.
"""

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from extauthz.core.introspection import Active, Resolution, TokenState, Unavailable
from extauthz.core.token import Token
from extauthz.observe.events import Happened, Happening, Observer
from extauthz.observe.seldom import Seldom
from extauthz.resolver import shared_value
from extauthz.resolver.cache import TokenCache, fingerprint, token_hash, token_key
from extauthz.resolver.redis import RedisClient, RedisTrouble
from extauthz.resolver.sealing import Keys
from extauthz.resolver.settings import ServerSettings
from extauthz.resolver.shared_value import HEADER_BYTES, MAX_VALUE_BYTES, Learnt

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[object]]

LEASE_MARGIN_SECONDS: Final = 0.25
"""A lease outlives the time limit of the question by this much."""

MAX_SKEW_SECONDS: Final = 2.0
"""A value may come from so far in the future, because the clocks of two hosts differ; one from farther is not used."""

_SHORTEST_PAUSE_SECONDS: Final = 0.002
_LONGEST_PAUSE_SECONDS: Final = 0.05
"""Between two looks; the latter because a lease may be freed without an answer."""

_USUAL_WEIGHT: Final = 1 / 8
"""Of one question in what questions usually take."""

_MAX_WRITES: Final = 1000

_FIND: Final = """
-- KEYS: value, lease. ARGV: find (a value, or else the lease), lease (nothing else) or look (a value only); owner; ms.
-- Returns the value and who is to ask: 0 somebody else, 1 the caller, who holds the lease, 2 the caller, without one; and
-- for how many ms somebody else's lease goes on.
local value = ARGV[1] ~= 'lease' and redis.call('GET', KEYS[1])
if value and ARGV[1] == 'find' then return {value, 0, 0} end
if ARGV[1] ~= 'look' then
  local set = redis.pcall('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3])
  if set then return {value or '', set.ok and 1 or 2, 0} end
end
local left = redis.call('PTTL', KEYS[2])
return {value or '', left == -2 and 2 or 0, left}
"""

_KEEP: Final = """
-- KEYS: value, lease. ARGV: owner; a value, or only its header, or nothing; how many ms to keep it.
-- Ends what is older than the value, keeps it, and frees the lease if it is the owner's. Returns 0 if there is no room;
-- that is found out by the first write, because after one that succeeded Redis lets a script exceed its memory.
local room = 1
if ARGV[2] ~= '' and redis.call('GETRANGE', KEYS[1], 0, 15) <= string.sub(ARGV[2], 1, 16) then
  if ARGV[3] ~= '0' then room = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]).ok and 1 or 0 end
  if ARGV[3] == '0' or room == 0 then redis.call('DEL', KEYS[1]) end
end
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return room
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the value of one token lies under one generation of keys, and what opens it."""

    keys: Keys
    key: bytes
    names: tuple[str, str]


class SharedCache:
    """Answers of one authorization server.

    Args:
        settings: of the server.
        cache: of this process; what is found goes there, and it judges whether that may be used.
        redis: where values are.
        keyring: keys of which the first seals and all open.
        prefix: the front of all names.
        owner: who holds our leases; another text for each process.
    """

    def __init__(
        self,
        settings: ServerSettings,
        *,
        cache: TokenCache,
        redis: RedisClient,
        keyring: Sequence[Keys],
        prefix: str,
        owner: str,
        observer: Observer,
        monotonic: Clock,
        wall: Clock,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._settings = settings
        self._cache = cache
        self._redis = redis
        self.rotate(keyring)
        self._prefix = prefix
        self._owner = owner
        self._monotonic = monotonic
        self._wall = wall
        self._sleep = sleep
        self._lease_seconds = settings.timeout + LEASE_MARGIN_SECONDS
        self._usual = 0.0
        self._leased: set[bytes] = set()
        self._writes: set[asyncio.Task[None]] = set()
        self._troubles = _Troubles(settings.name, observer, monotonic)

    def rotate(self, keyring: Sequence[Keys]) -> None:
        """Use these keys from now on; `cache` has to use the first of them too."""
        self._keyring = [(keys, fingerprint(self._settings, keys.tokens)) for keys in keyring]

    async def find(self, token: Token, max_age: float | None) -> Resolution | None:
        """An answer that may be used, maybe one that another process is just getting; or None: then ask, and `keep`."""
        if not self._cache.revocations.current:
            return None
        newest, *older = (self._place(keys, mark, token) for keys, mark in self._keyring)
        try:
            for place in older:
                value, *_ = await self._look("look", place)
                known = self._use(value, place, newest.key, max_age)
                if known is not None:
                    return known
            return await self._find(newest, max_age)
        except RedisTrouble:
            return None

    async def _find(self, place: _Place, max_age: float | None) -> Resolution | None:
        patient_until = self._monotonic() + self._lease_seconds
        how = "find"
        while True:
            value, who, left = await self._look(how, place)
            known = self._use(value, place, place.key, max_age)
            if known is not None or who != 0:
                if known is None and who == 1:
                    self._leased.add(place.key)
                return known
            if how == "find" and value:
                how = "lease"
                continue
            if self._monotonic() >= patient_until:
                return None
            how = "look"
            await self._sleep(self._pause(self._lease_seconds - left / 1000))

    def _pause(self, asked: float) -> float:
        """Seconds until the next look for the answer to a question of `asked` seconds ago: when it is due, then ever later."""
        early = self._usual - asked
        return min(max(early if early > 0 else -early / 2, _SHORTEST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)

    async def _look(self, how: str, place: _Place) -> tuple[bytes, int, int]:
        match await self._redis.run(_FIND, place.names, (how, self._owner, _milliseconds(self._lease_seconds))):
            case [bytes(value), int(who), int(left)]:
                return value, who, left
        raise RedisTrouble("not what our script returns")

    def _use(self, value: bytes, place: _Place, key: bytes, max_age: float | None) -> Resolution | None:
        """What the cache of this process makes of a value, if no notice came after its question."""
        if not value:
            return None
        learnt = self._open(value, place)
        asked_at = shared_value.asked_at(value)
        if learnt is None or asked_at is None:
            self._troubles.count(Happening.SHARED_CACHE_UNREADABLE)
            return None
        revocations, age = self._cache.revocations, self._wall() - asked_at
        # A notice about the token may be older than our first key: then it was written under the key of the value.
        noticed = max(revocations.last(token_hash(each), learnt.state).position for each in {key, place.key})
        if age < -MAX_SKEW_SECONDS or noticed > learnt.position:
            return None
        self._cache.put(key, learnt.state, self._monotonic() - max(0.0, age), revocations.number)
        known = self._cache.get(key, max_age)
        return None if known is None else known._replace(level="shared")

    def _open(self, value: bytes, place: _Place) -> Learnt | None:
        plain = place.keys.open(value, bound_to=place.key, header_bytes=HEADER_BYTES)
        return None if plain is None else shared_value.decode(plain)

    def keep(self, token: Token, state: TokenState, age: float, position: int) -> None:
        """Share an answer to a question of `age` seconds ago, asked at this position; trouble only ends our lease.

        Does not wait for Redis.
        """
        if not isinstance(state, Unavailable):
            self._usual += (age - self._usual) * (_USUAL_WEIGHT if self._usual else 1)
        keys, mark = self._keyring[0]
        place = self._place(keys, mark, token)
        nothing_to_say = isinstance(state, Unavailable) and place.key not in self._leased
        self._leased.discard(place.key)
        if nothing_to_say or not self._cache.revocations.current or len(self._writes) >= _MAX_WRITES:
            return
        value, milliseconds = self._value(place, state, age, position)
        task = asyncio.create_task(self._write(place, value, milliseconds))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    def _value(self, place: _Place, state: TokenState, age: float, position: int) -> tuple[bytes, int]:
        """A sealed value and its life in milliseconds; with a life of 0, only its header."""
        if isinstance(state, Unavailable):
            return b"", 0
        header = shared_value.header(self._wall() - age)
        milliseconds = _milliseconds(self._seconds(state, age))
        plain = shared_value.encode(Learnt(state=state, position=position)) if milliseconds else b""
        if not plain or len(plain) > MAX_VALUE_BYTES:
            return header, 0
        return place.keys.seal(plain, bound_to=place.key, header=header), milliseconds

    def _seconds(self, state: TokenState, age: float) -> float:
        """How long a value is worth keeping: as long as a process may use it, and never beyond `exp`."""
        if isinstance(state, Unavailable):
            return 0.0
        now = self._monotonic()
        seconds = self._cache.fresh_until(state, now - age) - now
        if isinstance(state, Active):
            seconds += self._settings.stale_if_error
            if state.exp is not None:
                seconds = min(seconds, state.exp - self._wall())
        return max(0.0, seconds)

    async def _write(self, place: _Place, value: bytes, milliseconds: int) -> None:
        try:
            room = await self._redis.run(_KEEP, place.names, (self._owner, value, milliseconds))
        except RedisTrouble:
            return
        if not room:
            self._troubles.count(Happening.SHARED_CACHE_FULL)

    def _place(self, keys: Keys, mark: bytes, token: Token) -> _Place:
        key = token_key(mark, keys.tokens, token)
        name = f"{self._prefix}:1:{{{urlsafe_b64encode(key).decode().rstrip('=')}}}"
        return _Place(keys=keys, key=key, names=(name, f"{name}:lease"))

    async def close(self) -> None:
        """Finish what is being written; each of it has its time limit."""
        await asyncio.gather(*self._writes)


class _Troubles:
    """Tells of trouble at once and then now and then, with a count."""

    def __init__(self, subject: str, observer: Observer, monotonic: Clock) -> None:
        self._subject = subject
        self._observer = observer
        self._counts: dict[Happening, int] = {}
        self._told = Seldom(monotonic)

    def count(self, what: Happening) -> None:
        """It happened once more."""
        self._counts[what] = self._counts.get(what, 0) + 1
        if self._told.is_due(what):
            self._observer.happened(Happened(what=what, subject=self._subject, count=self._counts.pop(what)))


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
