"""Notices of revocation, and which answers they make unusable.

To revoke is to forget: the next use of the token asks the authorization server anew. Pure: no clock, no input or output.

Two counters put notices and answers in order:

  number    notices that this process has taken in; an entry in memory remembers it as of when its question began
  position  notices in the log that processes share; a value in the shared cache remembers it likewise

An answer is usable only if no notice about it came after its question began. What is written in a notice is a keyed hash
(`sealing.Keys`): neither the log nor this table holds a token or the name of anybody.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from extauthz.core.introspection import Active, TokenState

MAX_NOTICES: Final = 65_536
"""Notices that a table or a log keeps. When the oldest is dropped, all answers to questions before it are forgotten."""

ONLY_HERE: Final = 1 << 100
"""The position of a notice that could not be put into the log: after everything that may stand in the shared cache."""


class Kind(StrEnum):
    """What a notice is about."""

    TOKEN = "token"  # noqa: S105 - a word
    JTI = "jti"
    SUB = "sub"
    CLIENT_ID = "client_id"
    ALL = "all"


class Notice(NamedTuple):
    """Something was revoked. `value` is the keyed hash of the token, or of its `jti`, `sub` or `client_id`."""

    kind: Kind
    value: str = ""


ALL: Final = Notice(Kind.ALL)


class Mark(NamedTuple):
    """Where in the order of notices something stands."""

    number: int = 0
    position: int = 0


Hash = Callable[[str, str], str]
"""From a claim of a token, its kind first, to what a notice about it holds."""


class Revocations:
    """The latest notice about each token, subject and client.

    Args:
        hash_claims: one for each key that a notice may have been written under; while keys change there are several.
        max_notices: how many are kept.

    Attributes:
        number: notices taken in.
        position: up to here the shared log has been read.
        current: whether the log is being read; while it is not, values in the shared cache are not to be trusted.
    """

    def __init__(self, *hash_claims: Hash, max_notices: int = MAX_NOTICES) -> None:
        self.number = 0
        self.position = 0
        self.current = False
        self._hash_claims = hash_claims
        self._max_notices = max_notices
        self._floor = Mark()
        self._marks: dict[Notice, Mark] = {}

    def rotate(self, *hash_claims: Hash) -> None:
        """Look for notices under these keys from now on."""
        self._hash_claims = hash_claims

    def take(self, notice: Notice, position: int = ONLY_HERE) -> bool:
        """Take a notice in; False when it is known, because the log also tells its writer what it wrote."""
        known = self._floor if notice == ALL else self._marks.get(notice, self._floor)
        if position <= known.position < ONLY_HERE:
            return False
        self.number += 1
        mark = Mark(self.number, position)
        if notice == ALL:
            self._floor = mark
            self._marks.clear()
        else:
            self._marks.pop(notice, None)
            self._marks[notice] = mark
            self._drop_oldest()
        return True

    def missed(self, position: int) -> None:
        """Notices up to this position were lost: forget all answers to questions before it."""
        self.number += 1
        self._floor = Mark(self.number, max(self._floor.position, position))

    def last(self, token_hash: str, state: TokenState) -> Mark:
        """When a notice last came that concerns this token, by either counter."""
        if not self._marks:
            return self._floor
        marks = [self._floor]
        marks += [self._marks[notice] for notice in self._about(token_hash, state) if notice in self._marks]
        return Mark(max(mark.number for mark in marks), max(mark.position for mark in marks))

    def names(self, token_hash: str, state: Active) -> bool:
        """Whether a notice names this very token, by itself or by its `jti`."""
        if not self._marks:
            return False
        about = (notice for notice in self._about(token_hash, state) if notice.kind in (Kind.TOKEN, Kind.JTI))
        return any(notice in self._marks for notice in about)

    def _about(self, token_hash: str, state: TokenState) -> Iterator[Notice]:
        yield Notice(Kind.TOKEN, token_hash)
        if isinstance(state, Active):
            for kind, claim in ((Kind.JTI, state.jti), (Kind.SUB, state.sub), (Kind.CLIENT_ID, state.client_id)):
                if claim is not None:
                    for hash_claim in self._hash_claims:
                        yield Notice(kind, hash_claim(kind, claim))

    def _drop_oldest(self) -> None:
        if len(self._marks) > self._max_notices:
            oldest = self._marks.pop(next(iter(self._marks)))
            self._floor = Mark(max(self._floor.number, oldest.number), max(self._floor.position, oldest.position))

    def __len__(self) -> int:
        return len(self._marks)
