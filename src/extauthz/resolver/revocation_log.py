"""The log of revocations that processes share: a Redis stream among hosts; among the workers of one, `revocation_file.py`.

Positions follow each other without gaps, so a reader that finds one missing knows that it missed notices. A log keeps
the latest `MAX_NOTICES`.
"""

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, Protocol

from extauthz.resolver.redis import RedisClient, RedisTrouble
from extauthz.resolver.revocation import ALL, MAX_NOTICES, Kind, Notice

PAGE: Final = 1000
"""Notices read at once."""

SECONDS: Final = 1.0
"""Time limit for reading and for writing."""


class LogTrouble(Exception):  # noqa: N818 - it names what is met
    """The log cannot be read or written now. The message is for our own log."""


class Logged(NamedTuple):
    """A notice and its position."""

    position: int
    notice: Notice


class RevocationLog(Protocol):
    """Notices in one order for all processes. Both methods raise `LogTrouble` and nothing else."""

    async def append(self, notices: Sequence[Notice], known: int) -> int:
        """Write notices one after the other and return the position of the last. `known`: how far the caller has read."""

    async def read(self, after: int) -> Sequence[Logged]:
        """The notices after a position, at most `PAGE`; those that are not kept any more are missing in front."""

    async def close(self) -> None:
        """Give back what is open."""


_PRELUDE: Final = """
-- KEYS: the stream. ARGV: how far the caller has read, as epoch and number; how many notices to keep; …
local epoch, number = 0, 0
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if newest then
  local e, n = string.match(newest[1], '^(%d+)-(%d+)$')
  epoch, number = tonumber(e), tonumber(n)
end
local function add(kind, value)
  number = number + 1
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[3], string.format('%.0f-%.0f', epoch, number), kind, value)
end
local known_epoch, known_number = tonumber(ARGV[1]), tonumber(ARGV[2])
if not newest or epoch < known_epoch or (epoch == known_epoch and number < known_number) then
  local time = redis.call('TIME')
  epoch, number = math.max(time[1] * 1000 + math.floor(time[2] / 1000), known_epoch + 1, epoch + 1), 0
  add('all', '')
end
"""

_APPEND: Final = (
    _PRELUDE
    + """
for at = 4, #ARGV, 2 do add(ARGV[at], ARGV[at + 1]) end
return string.format('%.0f-%.0f', epoch, number)
"""
)

_READ: Final = (
    _PRELUDE
    + """
return redis.call('XRANGE', KEYS[1], string.format('%.0f-%.0f', known_epoch, known_number + 1), '+', 'COUNT', ARGV[4])
"""
)

_NUMBER_BITS: Final = 32
_NO_STREAM_OF_OURS: Final = "the stream holds something else than notices of ours: give us another prefix"
_ID: Final = re.compile(rb"([0-9]{1,15})-([0-9]{1,9})")


class RedisLog:
    """A log in a Redis stream, for processes of many hosts.

    The id of an entry is an epoch and a number. A stream that is gone, or ends before what its reader has read, is not
    the one it was: Redis has lost its memory, or another server has taken its place. Whoever sees that begins a new epoch
    with a notice about everything, and so everybody forgets everything once.

    Published messages would not do: who is not listening just then would never hear of them.
    """

    def __init__(self, redis: RedisClient, *, prefix: str) -> None:
        self._redis = redis
        self._stream = f"{prefix}:1:revocations"

    async def append(self, notices: Sequence[Notice], known: int) -> int:
        """Write notices one after the other and return the position of the last."""
        words = [word for notice in notices for word in (notice.kind.value, notice.value)]
        return _position(await self._run(_APPEND, known, words))

    async def read(self, after: int) -> Sequence[Logged]:
        """The notices after a position."""
        entries = await self._run(_READ, after, (PAGE,))
        if not isinstance(entries, list):
            raise LogTrouble(_NO_STREAM_OF_OURS)
        return [_logged(entry) for entry in entries]

    async def close(self) -> None:
        """The connections belong to somebody else."""

    async def _run(self, script: str, known: int, arguments: Sequence[str | int]) -> Any:  # noqa: ANN401 - as the script has it
        epoch, number = divmod(known, 1 << _NUMBER_BITS)
        try:
            return await self._redis.run_alone(
                script, (self._stream,), (epoch, number, MAX_NOTICES, *arguments), SECONDS
            )
        except RedisTrouble as trouble:
            raise LogTrouble(str(trouble)) from None


def _logged(entry: Any) -> Logged:  # noqa: ANN401 - whatever is in the stream
    match entry:
        case [bytes(id_), [bytes(kind), bytes(value), *_]]:
            return Logged(_position(id_), read_notice(kind.decode("latin-1"), value.decode("latin-1")))
    raise LogTrouble(_NO_STREAM_OF_OURS)


def _position(id_: object) -> int:
    match = _ID.fullmatch(id_) if isinstance(id_, bytes) else None
    if match is None:
        raise LogTrouble("the stream has ids of another kind than ours: give us another prefix")
    return (int(match[1]) << _NUMBER_BITS) + int(match[2])


def read_notice(kind: str, value: str) -> Notice:
    """A notice as it was written; one of a kind that only later versions know may be about anything."""
    return Notice(Kind(kind), value) if kind in _KINDS else ALL


_KINDS: Final = frozenset(kind.value for kind in Kind)
