"""Notices on their way: from whoever revokes into this process and the log, and from the log into this process."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from extauthz.core.jws import unverified_id
from extauthz.observe.events import Happened, Happening, Observer
from extauthz.observe.seldom import Seldom
from extauthz.resolver.revocation import ALL, ONLY_HERE, Kind, Notice, Revocations
from extauthz.resolver.revocation_log import PAGE, Logged, LogTrouble, RevocationLog
from extauthz.resolver.sealing import Keys

POLL_SECONDS: Final = 0.05
"""How long a notice may lie in the log unread. Reading is one cheap command, which also notices a log that was lost."""

_LONGEST_PAUSE_SECONDS: Final = 1.0
_MAX_PENDING: Final = 1000
_SUBJECT: Final = "log"


class RevocationFeed:
    """Brings notices into the table of one process.

    Args:
        table: what the caches of this process look at.
        log: what it shares with others; None when there are no others.
        keyring: notices are written under all of these keys, because others may still read under an older one.
        observer: is told when notices come, and when they stop coming.
        monotonic: seconds, for trouble that is told again while it lasts.
        sleep: waits between two readings.
    """

    def __init__(
        self,
        table: Revocations,
        log: RevocationLog | None,
        *,
        keyring: Sequence[Keys],
        observer: Observer,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._table = table
        self._log = log
        self._keyring = keyring
        self._observer = observer
        self._sleep = sleep
        self._pending: list[Notice] = []
        self._caught_up = False
        self._monotonic = monotonic
        self._cut_off: Seldom | None = None

    @property
    def follows(self) -> bool:
        """Whether there is a log of others to be followed."""
        return self._log is not None

    def rotate(self, keyring: Sequence[Keys]) -> None:
        """Write under these keys from now on."""
        self._keyring = keyring

    async def revoke(self, names: Iterable[tuple[Kind, str]]) -> bool:
        """Forget these tokens, subjects and clients; a token is named by itself. No answer older than this call is used.

        False when other processes could not be told: they will be, as soon as the log can be reached.
        """
        notices = [notice for kind, name in names for notice in self._notices(kind, name)]
        first = await self._append(notices)
        self._take(Logged(min(first + at, ONLY_HERE), notice) for at, notice in enumerate(notices))
        if first == self._table.position + 1:  # nobody else wrote meanwhile
            self._table.position = first + len(notices) - 1
        told = self._log is None or first < ONLY_HERE
        if not told:
            self._pending += notices
            self._pending = [ALL] if len(self._pending) > _MAX_PENDING else self._pending
        return told

    async def run(self) -> None:
        """Read the log until cancelled."""
        pause = POLL_SECONDS
        while self._log is not None:
            try:
                page = await self._log.read(self._table.position)
            except LogTrouble as trouble:
                self._cut(str(trouble))
                pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
            else:
                self._take_page(page)
                await self._append_pending()
                pause = 0.0 if len(page) == PAGE else POLL_SECONDS
            await self._sleep(pause)

    async def close(self) -> None:
        """Give the log back."""
        if self._log is not None:
            await self._log.close()

    def _notices(self, kind: Kind, name: str) -> list[Notice]:
        if kind is Kind.ALL:
            return [ALL]
        if kind is Kind.TOKEN:  # of a JWT by its `jti` too: with an ECDSA signature made anew, it is another text
            notices = [Notice(kind, keys.token_hash(name).hex()) for keys in self._keyring]
            jti = unverified_id(name)
            return notices if jti is None else notices + self._notices(Kind.JTI, jti)
        return [Notice(kind, keys.name_hash(kind, name)) for keys in self._keyring]

    async def _append(self, notices: Sequence[Notice]) -> int:
        """The position of the first of them in the log, or `ONLY_HERE`: a log that goes back is not the one that we read."""
        if self._log is None:
            return ONLY_HERE
        known = self._table.position
        try:
            first = await self._log.append(notices, known) - len(notices) + 1
        except LogTrouble:
            return ONLY_HERE
        return first if first > known else ONLY_HERE

    async def _append_pending(self) -> None:
        """Tell the others what they could not be told before."""
        notices, self._pending = self._pending, []
        if notices:
            first = await self._append(notices)
            if first == ONLY_HERE:
                self._pending = [*notices, *self._pending]
            else:
                self._take(Logged(first + at, notice) for at, notice in enumerate(notices))

    def _take_page(self, page: Sequence[Logged]) -> None:
        """The next notices of the log, or the news that there are none."""
        news = [logged for logged in page if logged.position > self._table.position]
        for position, _ in news:
            if position != self._table.position + 1:
                self._table.missed(position - 1)
            self._table.position = position
        self._take(news, told=self._caught_up)  # what was revoked before this process began is no news
        if len(page) < PAGE and not self._table.current:
            self._caught_up = True
            self._table.current = True
            what = Happening.REVOCATIONS_CONNECTED if self._cut_off is None else Happening.REVOCATIONS_BACK
            self._cut_off = None
            self._observer.happened(Happened(what=what, subject=_SUBJECT))

    def _take(self, page: Iterable[Logged], *, told: bool = True) -> None:
        new = Counter(notice.kind for position, notice in page if self._table.take(notice, position))
        for kind, count in new.items() if told else ():
            self._observer.happened(Happened(what=Happening.REVOKED, subject=kind.value, count=count))

    def _cut(self, detail: str) -> None:
        """Tell it at once, also of a log that could not be read from the start; then now and then, and what else it is."""
        self._table.current = False
        begins = self._cut_off is None
        told = self._cut_off = Seldom(self._monotonic) if self._cut_off is None else self._cut_off
        if told.is_due(detail):
            cut = Happened(what=Happening.REVOCATIONS_CUT, subject=_SUBJECT, detail=detail, count=int(begins))
            self._observer.happened(cut)
