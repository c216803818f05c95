"""The record: one line for each decision, never a token, never in the way of a request."""

import io
import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable

import pytest

from extauthz.authorizer import Authorizer
from extauthz.core.decision import Allow, Reason
from extauthz.observe import audit
from extauthz.observe.audit import AuditLog, Stream
from extauthz.observe.events import BATCH, Checked, Happened, Happening, Introspected, Observers
from extauthz.testing import StubResolver, TickingClock, active, policy, request, rule

EVENT = Checked(
    decision_id="1",
    at=1_700_000_000.25,
    door="envoy",
    request_id="abc",
    method="GET",
    host="api.example.com",
    path="/orders/1",
    decision=Allow(reason=Reason.ALLOWED, rule="orders", identity=(("x-auth-sub", "u1"),), absent=()),
    level="memory",
    sub="u1",
    client_id="app",
    took_seconds=0.000042,
)


class Pipe(io.BytesIO):
    """A stream that remembers each write, can be held up, and can break."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()
        self.error: Exception | None = None
        self.busy = False

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Wait while held up, then keep it or fail."""
        self.entered.set()
        self.open.wait(40)
        if self.error is not None:
            raise self.error
        if self.busy:
            return 0
        self.writes.append(bytes(data))
        return len(data)

    def lines(self) -> list[bytes]:
        return b"".join(self.writes).splitlines()


class Disk(Pipe):
    """A stream with so much room: what does not fit is left out, and then there is none."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, data: bytes) -> int:  # type: ignore[override] # as in BytesIO, for bytes alone
        """Take as much as fits."""
        if self.room == 0:
            raise OSError(28, "No space left")
        done = super().write(data[: self.room])
        self.room -= done
        return done


class Losses:
    """What the log said it lost."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def __call__(self, count: int) -> None:
        self.told.append(count)


class Troubles:
    """What the log said about itself."""

    def __init__(self) -> None:
        self.told: list[Happening] = []
        self.details: list[str] = []

    def __call__(self, event: Happened) -> None:
        self.told.append(event.what)
        self.details.append(event.detail)


def log_to(stream: Stream) -> tuple[AuditLog, Losses]:
    losses = Losses()
    return AuditLog(stream, on_loss=losses), losses


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 40
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def numbered(count: int) -> list[Checked]:
    return [EVENT._replace(request_id=str(number)) for number in range(count)]


class TestWriting:
    """From a thread of its own, in order, whole lines."""

    @pytest.mark.shows("S34", "E31", "E76", "N43")
    async def test_neither_token_nor_query_reaches_it(self) -> None:
        """From a whole request, with the canary wherever a token may stand."""
        pipe, clock = Pipe(), TickingClock()
        log, _ = log_to(pipe)
        resolver = StubResolver({"canary": active()})
        authorizer = Authorizer(
            policy=policy(rule()), resolver=resolver, observer=log, wall=clock, monotonic=clock, decision_ids=str
        )
        await authorizer.check(request(target="/orders/1?access_token=canary", token="canary"))
        await authorizer.check(request(target="/orders/1?access_token=canary", authorization=("Bearer canary!",)))
        resolver.fault = RuntimeError("canary")
        await authorizer.check(request(token="canary"))
        log.close()
        assert len(pipe.lines()) == 3
        assert b"canary" not in b"".join(pipe.writes)
        assert {json.loads(line)["path"] for line in pipe.lines()} == {"/orders/1"}

    def test_close_writes_all_that_waits(self) -> None:
        """In the order of the decisions."""
        pipe = Pipe()
        log, losses = log_to(pipe)
        for event in numbered(1000):
            log.checked(event)
        log.close()
        assert [json.loads(line)["request_id"] for line in pipe.lines()] == [str(number) for number in range(1000)]
        assert losses.told == []

    def test_a_line_is_written_soon(self) -> None:
        """Nobody has to close the log to read it."""
        pipe = Pipe()
        log, _ = log_to(pipe)
        log.checked(EVENT)
        wait_until(lambda: bool(pipe.lines()))
        log.close()

    def test_questions_to_servers_are_not_part_of_it(self) -> None:
        """It records decisions."""
        pipe = Pipe()
        log, _ = log_to(pipe)
        log.introspected(Introspected(server="main", outcome="active", took_seconds=0.1))
        log.close()
        assert pipe.writes == []

    def test_each_write_ends_with_a_line(self) -> None:
        """Whoever reads along sees no half line."""
        pipe = Pipe()
        log, _ = log_to(pipe)
        for event in numbered(500):
            log.checked(event)
        log.close()
        assert all(write.endswith(b"}\n") for write in pipe.writes)

    def test_workers_that_share_a_pipe_do_not_tear_lines(self) -> None:
        """Standard output of several workers is one pipe: only writes up to PIPE_BUF stay whole (POSIX `write`)."""
        reading, writing = os.pipe()
        streams = [os.fdopen(descriptor, "wb", buffering=0) for descriptor in (writing, os.dup(writing))]
        logs = [log_to(stream)[0] for stream in streams]
        for event in numbered(2000):
            for log in logs:
                log.checked(event)
        time.sleep(0.1)
        received = b""
        while received.count(b"\n") < 4000:
            received += os.read(reading, 4096)
            time.sleep(0.0002)
        for log, stream in zip(logs, streams, strict=True):
            log.close()
            stream.close()
        os.close(reading)
        torn = [line for line in received.splitlines() if line.count(b'{"time"') != 1 or not line.endswith(b"}")]
        assert torn == []


class TestTrouble:
    """A stream that is slow or broken costs lines, which are counted, and no request its time."""

    def test_a_slow_stream_loses_what_does_not_fit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """What was written and what was lost is all that there was."""
        monkeypatch.setattr(audit, "MAX_WAITING_LINES", 10)
        pipe = Pipe()
        log, losses = log_to(pipe)
        pipe.open.clear()
        log.checked(EVENT)
        assert pipe.entered.wait(40)
        for event in numbered(1000):
            log.checked(event)
        assert pipe.writes == [], "requests are not held up: the stream still is"
        pipe.open.set()
        log.close()
        assert len(pipe.lines()) == 10
        assert sum(losses.told) == 991

    @pytest.mark.parametrize("error", [BrokenPipeError(), OSError(28, "No space left"), ValueError("closed file")])
    def test_what_a_broken_stream_does_not_take_waits(self, error: Exception) -> None:
        """A disk that has room again gets all of it, in order; trouble is told once, and so is its end."""
        pipe, troubles = Pipe(), Troubles()
        pipe.error = error
        losses = Losses()
        log = AuditLog(pipe, on_loss=losses, on_trouble=troubles)
        log.record(numbered(7))
        wait_until(lambda: troubles.told == [Happening.AUDIT_FAILED])
        time.sleep(0.15)
        pipe.error = None
        wait_until(lambda: len(pipe.lines()) == 7)
        log.close()
        assert [json.loads(line)["request_id"] for line in pipe.lines()] == list("0123456")
        assert troubles.told == [Happening.AUDIT_FAILED, Happening.AUDIT_BACK]
        assert losses.told == []

    def test_what_a_broken_stream_has_no_room_for_is_lost_and_counted_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The first ones are kept: they may show how it began."""
        monkeypatch.setattr(audit, "MAX_WAITING_LINES", 10)
        pipe = Pipe()
        pipe.error = OSError(28, "No space left")
        log, losses = log_to(pipe)
        log.record(numbered(25))
        wait_until(lambda: sum(losses.told) == 15)
        time.sleep(0.15)
        pipe.error = None
        log.close()
        assert [json.loads(line)["request_id"] for line in pipe.lines()] == list("0123456789")
        assert losses.told == [15]

    def test_what_is_left_at_the_end_is_lost_and_told(self) -> None:
        """The number stands in the log: nobody reads the metrics of a process that has ended."""
        pipe, troubles = Pipe(), Troubles()
        pipe.error = OSError(28, "No space left")
        losses = Losses()
        log = AuditLog(pipe, on_loss=losses, on_trouble=troubles)
        log.record(numbered(7))
        log.close()
        assert losses.told == [7]
        assert troubles.details[-1].startswith("7 decisions")

    @pytest.mark.parametrize("rooms", [[1], [100], [1500], [3333], [1, 4500], [100, 2000, 3000], [50, 50, 50]])
    def test_a_line_that_a_full_disk_tears_is_written_anew(self, rooms: list[int]) -> None:
        """No line is lost or doubled, however often it is torn; each torn piece stands on a line of its own."""
        disk = Disk(0)
        log, losses = log_to(disk)
        log.record(numbered(20))
        for room in rooms:
            disk.room = room
            wait_until(lambda: disk.room == 0)
        disk.room = 1_000_000
        log.close()
        assert losses.told == []
        lines = b"".join(disk.writes).split(b"\n")
        whole = [json.loads(line)["request_id"] for line in lines if line.endswith(b"}")]
        assert whole == [str(number) for number in range(20)]
        assert len(lines) - len(whole) <= len(rooms) + 1, "torn pieces, and what is behind the last line feed"

    def test_a_stream_that_takes_nothing_now_is_asked_again(self) -> None:
        """Standard output may be a pipe that does not block: it says None when it is full."""
        pipe = Pipe()
        pipe.busy = True
        log, losses = log_to(pipe)
        log.record(numbered(3))
        assert pipe.entered.wait(40)
        pipe.busy = False
        wait_until(lambda: len(pipe.lines()) == 3)
        log.close()
        assert losses.told == []


class TestAble:
    """Whether a decision can be recorded, for those who would rather deny than not know."""

    def test_a_stream_that_fails_is_not_until_it_works_again(self) -> None:
        """What was promised a place is written."""
        pipe = Pipe()
        log, losses = log_to(pipe)
        assert log.able
        pipe.error = OSError(28, "No space left")
        log.checked(EVENT)
        wait_until(lambda: not log.able)
        pipe.error = None
        wait_until(lambda: log.able)
        log.close()
        assert (len(pipe.lines()), losses.told) == (1, [])

    def test_a_stream_that_hangs_is_not_once_there_is_no_room(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The rest of the room is for decisions that were made but are not handed on yet: none of them is lost."""
        monkeypatch.setattr(audit, "MAX_WAITING_LINES", 3 * BATCH - 10)
        pipe = Pipe()
        log, losses = log_to(pipe)
        observers = Observers(log)
        pipe.open.clear()
        asked = 0
        while log.able:
            observers.checked(EVENT)
            asked += 1
        pipe.open.set()
        observers.flush()
        log.close()
        assert asked >= BATCH
        assert (len(pipe.lines()), losses.told) == (asked, [])

    def test_lines_on_their_way_to_the_stream_take_room(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """They are neither waiting any more nor being written: who forgot them would promise their places again."""
        found: list[bool] = []

        class Waiting(deque[bytes]):
            def popleft(self) -> bytes:
                line = super().popleft()
                found.append(log.able)
                return line

        monkeypatch.setattr(audit, "deque", Waiting)
        monkeypatch.setattr(audit, "MAX_WAITING_LINES", 2 * BATCH)
        log, losses = log_to(Pipe())
        log.record(numbered(BATCH))
        log.close()
        assert found == [False] * BATCH
        assert losses.told == []


class TestRoom:
    """How long a stream may be slow."""

    def test_room_is_for_many(self) -> None:
        """A pause of the disk of a second at full load."""
        assert audit.MAX_WAITING_LINES >= 50_000
