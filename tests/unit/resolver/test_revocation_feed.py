"""Notices reach the table of this process, and the log; what goes wrong on the way is made up for."""

import asyncio
from collections.abc import Sequence

import pytest

from extauthz.observe.events import Happened, Happening
from extauthz.observe.seldom import REPEAT_SECONDS
from extauthz.resolver.revocation import ALL, ONLY_HERE, Kind, Notice, Revocations
from extauthz.resolver.revocation_feed import RevocationFeed
from extauthz.resolver.revocation_log import PAGE, Logged, LogTrouble
from extauthz.resolver.sealing import Keys
from extauthz.testing import RecordingObserver, TickingClock, active

KEYS, OLD_KEYS = Keys.derive(b"k" * 32), Keys.derive(b"o" * 32)
STATE = active(sub="u1", jti="j1", client_id="app")


class ListLog:
    """A log that is a list; `trouble` is why it fails, `first` is the position of what stands first in the list."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self.first = 1
        self.trouble = ""
        self.slow: asyncio.Event | None = None
        self.closed = False

    async def append(self, notices: Sequence[Notice], known: int) -> int:
        """At the end of the list."""
        await asyncio.sleep(0)
        if self.trouble:
            raise LogTrouble(self.trouble)
        self.notices += notices
        return self.first + len(self.notices) - 1

    async def read(self, after: int) -> Sequence[Logged]:
        """From the list."""
        if self.trouble:
            raise LogTrouble(self.trouble)
        logged = [Logged(self.first + at, notice) for at, notice in enumerate(self.notices)]
        if self.slow is not None:
            await self.slow.wait()
        return [one for one in logged if one.position > after][:PAGE]

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


class Bench:
    """A feed between a table and a log; it reads when it is told to."""

    def __init__(self, log: ListLog | None, *, keyring: Sequence[Keys] = (KEYS,)) -> None:
        self.observer = RecordingObserver()
        self.table = Revocations(keyring[0].name_hash)
        self.pauses: list[float] = []
        self.left = 0
        self.clock = TickingClock()
        self.feed = RevocationFeed(
            self.table, log, keyring=keyring, observer=self.observer, monotonic=self.clock, sleep=self.sleep
        )

    async def sleep(self, seconds: float) -> None:
        """End the reading after so many times."""
        self.pauses.append(seconds)
        self.left -= 1
        if not self.left:
            raise asyncio.CancelledError

    async def read(self, times: int = 1) -> None:
        """Let it read so often."""
        self.left = times
        with pytest.raises(asyncio.CancelledError):
            await self.feed.run()

    def revoked(self, token: str = "t") -> bool:
        """Whether any notice is about the token."""
        return self.table.last(KEYS.token_hash(token).hex(), STATE).number > 0

    def is_current(self) -> bool:
        """Whether shared values may be used."""
        return self.table.current

    def cuts(self) -> list[tuple[str, int]]:
        """Why the log could not be read, as often as it was told, and how it counts."""
        events = self.observer.happenings
        return [(event.detail, event.count) for event in events if event.what is Happening.REVOCATIONS_CUT]

    def told(self) -> list[Happening]:
        """What the observer heard."""
        return [event.what for event in self.observer.happenings]


@pytest.fixture
def log() -> ListLog:
    return ListLog()


@pytest.fixture
def bench(log: ListLog) -> Bench:
    return Bench(log)


NAMES = [(Kind.TOKEN, "t"), (Kind.SUB, "u1"), (Kind.JTI, "j1"), (Kind.CLIENT_ID, "app"), (Kind.ALL, "")]


@pytest.mark.parametrize(("kind", "name"), NAMES)
async def test_a_notice_acts_here_at_once_and_on_others_when_they_read(
    bench: Bench, log: ListLog, kind: Kind, name: str
) -> None:
    """Whatever it names."""
    other = Bench(log)
    await other.read()
    assert await bench.feed.revoke([(kind, name)])
    assert (bench.revoked(), other.revoked()) == (True, False)
    await other.read()
    assert other.revoked()
    for one in (bench, other):
        assert one.observer.happenings[-1] == Happened(what=Happening.REVOKED, subject=kind.value)


async def test_what_was_revoked_before_a_process_began_is_no_news(bench: Bench, log: ListLog) -> None:
    """It is taken in, and told to nobody."""
    late = Bench(log)
    await bench.feed.revoke([(Kind.TOKEN, "t")])
    await late.read()
    assert late.revoked()
    assert late.told() == [Happening.REVOCATIONS_CONNECTED]


@pytest.mark.parametrize(("kind", "name"), NAMES)
async def test_alone_there_is_nobody_to_tell(kind: Kind, name: str) -> None:
    """Each notice counts, also one that was there before."""
    bench = Bench(None)
    for number in (1, 2):
        assert await bench.feed.revoke([(kind, name)])
        assert bench.table.number == number
    await bench.feed.run()


async def test_nothing_in_the_log_tells_what_was_revoked(bench: Bench, log: ListLog) -> None:
    """Only hashes."""
    await bench.feed.revoke([(Kind.TOKEN, "canary-t"), (Kind.SUB, "canary-s"), (Kind.CLIENT_ID, "canary-c")])
    assert len(log.notices) == 3
    assert "canary" not in repr(log.notices)


async def test_one_is_not_told_of_its_own_notice_twice(bench: Bench) -> None:
    """What was asked since would be forgotten for nothing."""
    await bench.feed.revoke([(Kind.SUB, "u1")])
    await bench.read()
    assert bench.table.number == 1
    assert bench.told() == [Happening.REVOKED, Happening.REVOCATIONS_CONNECTED]


async def test_ones_own_notice_is_read_already(bench: Bench, log: ListLog) -> None:
    """A question after it is known to be after it, unless others wrote in between."""
    await bench.feed.revoke([(Kind.SUB, "u1"), (Kind.SUB, "u2")])
    assert bench.table.position == 2
    await Bench(log).feed.revoke([(Kind.SUB, "u3")])
    await bench.feed.revoke([(Kind.SUB, "u4")])
    assert bench.table.position == 2
    await bench.read()
    assert bench.table.position == 4
    assert bench.table.last("any", active(sub="never revoked")) == (0, 0)


async def test_a_page_that_was_read_before_ones_own_notice_is_no_gap(bench: Bench, log: ListLog) -> None:
    """The log was being read while the notice was written."""
    log.notices = [Notice(Kind.SUB, "a")]
    log.slow = asyncio.Event()
    reading = asyncio.create_task(bench.read())
    await asyncio.sleep(0)
    bench.table.position = 1
    await bench.feed.revoke([(Kind.SUB, "u1")])
    assert bench.table.position == 2
    log.slow.set()
    await reading
    assert bench.table.position == 2
    assert bench.table.last("any", active(sub="never revoked")) == (0, 0)


async def test_those_who_read_under_an_older_key_are_told_too(log: ListLog) -> None:
    """While keys are changed, processes differ in which is the first."""
    both, old = Bench(log, keyring=(KEYS, OLD_KEYS)), Bench(log, keyring=(OLD_KEYS,))
    await both.feed.revoke([(Kind.TOKEN, "t"), (Kind.SUB, "x")])
    await old.read()
    assert old.table.last(OLD_KEYS.token_hash("t").hex(), active(sub=None)).number > 0
    assert old.table.last("", active(sub="x")).number > 0


class TestCurrent:
    """Shared values are used only while the log is read."""

    async def test_it_begins_when_the_log_was_read_to_its_end(self, bench: Bench, log: ListLog) -> None:
        """A page that is full is not the last one, and the next is read at once."""
        log.notices = [Notice(Kind.SUB, str(number)) for number in range(PAGE + 1)]
        await bench.read()
        assert not bench.is_current()
        await bench.read()
        assert bench.is_current()
        assert bench.table.position == PAGE + 1
        assert bench.pauses == [0.0, 0.05]

    async def test_it_ends_with_trouble_and_comes_back(self, bench: Bench, log: ListLog) -> None:
        """Both are told once; its begin is no return."""
        await bench.read(2)
        log.trouble = "down"
        await bench.read(3)
        assert not bench.is_current()
        log.trouble = ""
        await bench.read(2)
        assert bench.is_current()
        assert bench.told() == [
            Happening.REVOCATIONS_CONNECTED,
            Happening.REVOCATIONS_CUT,
            Happening.REVOCATIONS_BACK,
        ]

    async def test_trouble_from_the_start_is_told_once(self, bench: Bench, log: ListLog) -> None:
        """A mistyped address of Redis must not look like a quiet one."""
        log.trouble = "down"
        await bench.read(3)
        assert bench.told() == [Happening.REVOCATIONS_CUT]

    async def test_trouble_from_the_start_has_an_end_too(self, bench: Bench, log: ListLog) -> None:
        """Whoever was told of it is told that it is over."""
        log.trouble = "down"
        await bench.read()
        log.trouble = ""
        await bench.read()
        assert bench.told() == [Happening.REVOCATIONS_CUT, Happening.REVOCATIONS_BACK]

    async def test_other_trouble_meanwhile_is_told_too(self, bench: Bench, log: ListLog) -> None:
        """A server that comes back with another password is not down any more; it is one cut all the same."""
        for log.trouble in ("down", "wrong password", "down", "wrong password"):
            await bench.read(2)
        assert bench.cuts() == [("down", 1), ("wrong password", 0)]

    async def test_trouble_is_told_again_while_it_lasts(self, bench: Bench, log: ListLog) -> None:
        """Now and then, and not for each reading."""
        log.trouble = "down"
        for _ in range(25):
            await bench.read()
            bench.clock.advance(REPEAT_SECONDS / 10)
        assert bench.cuts() == [("down", 1), ("down", 0), ("down", 0)]

    async def test_the_same_trouble_after_a_good_reading_is_news(self, bench: Bench, log: ListLog) -> None:
        """Else what came last would be that all is well."""
        for log.trouble in ("down", "", "down"):
            await bench.read()
        assert bench.cuts() == [("down", 1), ("down", 1)]

    async def test_trouble_is_tried_again_at_leisure(self, bench: Bench, log: ListLog) -> None:
        """Up to a second apart."""
        log.trouble = "down"
        await bench.read(7)
        assert bench.pauses == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]


class TestGaps:
    """Whoever may have missed a notice forgets what it may have been about."""

    async def test_notices_that_were_dropped_unread(self, bench: Bench, log: ListLog) -> None:
        """Their positions are missing."""
        log.notices, log.first = [Notice(Kind.SUB, "somebody")], 5
        await bench.read()
        last = bench.table.last("any", active(sub="never revoked"))
        assert (last.number > 0, last.position) == (True, 4)

    async def test_notices_that_follow_each_other_are_no_gap(self, bench: Bench, log: ListLog) -> None:
        """Nothing but what they name is forgotten."""
        for name in "abc":
            log.notices.append(Notice(Kind.SUB, name))
            await bench.read()
        assert bench.table.last("any", active(sub="never revoked")) == (0, 0)


class TestUnreachable:
    """A notice that cannot be written is not lost."""

    async def test_it_acts_here_and_the_caller_is_told(self, bench: Bench, log: ListLog) -> None:
        """No shared value about it is used until it has its place."""
        log.trouble = "down"
        assert not await bench.feed.revoke([(Kind.TOKEN, "t")])
        assert bench.table.last(KEYS.token_hash("t").hex(), STATE).position == ONLY_HERE

    async def test_a_log_that_goes_back_did_not_take_it(self, bench: Bench, log: ListLog) -> None:
        """A position that was read already is none for a new notice: were it believed, this process would know it already."""
        log.notices, log.first = [ALL], 7
        await bench.read()
        log.first = 1
        number = bench.table.number
        assert not await bench.feed.revoke([(Kind.TOKEN, "t")])
        assert bench.table.last(KEYS.token_hash("t").hex(), STATE) == (number + 1, ONLY_HERE)

    async def test_the_others_hear_of_it_later(self, bench: Bench, log: ListLog) -> None:
        """As soon as the log can be written again, once."""
        log.trouble = "down"
        await bench.feed.revoke([(Kind.TOKEN, "t"), (Kind.SUB, "u1")])
        await bench.read(3)
        assert bench.table.number == 2
        log.trouble = ""
        await bench.read(3)
        assert len(log.notices) == 2
        assert bench.table.last(KEYS.token_hash("t").hex(), STATE).position == 2

    async def test_very_many_become_one_about_everything(self, bench: Bench, log: ListLog) -> None:
        """What waits is bounded."""
        log.trouble = "down"
        for number in range(1001):
            await bench.feed.revoke([(Kind.SUB, str(number))])
        log.trouble = ""
        await bench.read(2)
        assert log.notices == [ALL]

    async def test_one_that_comes_while_others_are_being_told_waits_its_turn(self, bench: Bench, log: ListLog) -> None:
        """None is dropped."""
        log.trouble = "down"
        await bench.feed.revoke([(Kind.SUB, "a")])
        log.trouble = ""
        reading = asyncio.create_task(bench.read())
        await asyncio.sleep(0)
        log.trouble = "down"
        await bench.feed.revoke([(Kind.SUB, "b")])
        await reading
        log.trouble = ""
        await bench.read(2)
        values = {notice.value for notice in log.notices}
        assert values == {KEYS.name_hash("sub", "a"), KEYS.name_hash("sub", "b")}


async def test_closing_closes_the_log(bench: Bench, log: ListLog) -> None:
    """What there is of it."""
    await bench.feed.close()
    assert log.closed
    await Bench(None).feed.close()
