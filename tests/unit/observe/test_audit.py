"""The record: one line for each decision, never a token, never in the way of a request."""

import io
import json
import os
import threading
import time
from collections.abc import Callable
from typing import BinaryIO

import pytest
from hypothesis import given, strategies as st

from extauthz.authorizer import Authorizer
from extauthz.core.contrast import Contrast, Kind
from extauthz.core.decision import Allow, Reason, deny
from extauthz.observe import audit
from extauthz.observe.audit import AuditLog, render
from extauthz.observe.events import Checked, Introspected
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

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Wait while held up, then keep it or fail."""
        self.entered.set()
        self.open.wait(10)
        if self.error is not None:
            raise self.error
        self.writes.append(bytes(data))
        return len(data)

    def lines(self) -> list[bytes]:
        return b"".join(self.writes).splitlines()


class Losses:
    """What the log said it lost."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def __call__(self, count: int) -> None:
        self.told.append(count)


def log_to(stream: BinaryIO) -> tuple[AuditLog, Losses]:
    losses = Losses()
    return AuditLog(stream, on_loss=losses), losses


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def numbered(count: int) -> list[Checked]:
    return [EVENT._replace(request_id=str(number)) for number in range(count)]


class TestLine:
    """One JSON object with these members, and a line feed."""

    @pytest.mark.shows("E76")
    def test_an_allow(self) -> None:
        """Who, what, when, why and how fast."""
        line = render(EVENT)
        assert line.endswith(b"}\n")
        assert json.loads(line) == {
            "time": "2023-11-14T22:13:20.250000+00:00",
            "decision_id": "1",
            "door": "envoy",
            "request_id": "abc",
            "method": "GET",
            "host": "api.example.com",
            "path": "/orders/1",
            "outcome": "allow",
            "reason": "allowed",
            "status": 200,
            "rule": "orders",
            "sub": "u1",
            "client_id": "app",
            "level": "memory",
            "took_us": 42,
        }

    @pytest.mark.parametrize(
        ("reason", "status"),
        [
            (Reason.INACTIVE, 401),
            (Reason.MALFORMED_CREDENTIALS, 400),
            (Reason.NO_ROUTE, 403),
            (Reason.SERVER_BUSY, 503),
        ],
    )
    def test_a_denial_has_the_status_for_the_client(self, reason: Reason, status: int) -> None:
        """Not the one on the wire to NGINX."""
        line = json.loads(render(EVENT._replace(door="nginx", decision=deny(reason))))
        assert (line["outcome"], line["reason"], line["status"], line["rule"]) == ("deny", reason.value, status, "")

    def test_a_shadow_route_tells_why_it_would_have_denied(self) -> None:
        """And that it did not."""
        shadow = Allow(reason=Reason.SHADOW, rule="new", identity=(), absent=(), shadow=Reason.INACTIVE)
        line = json.loads(render(EVENT._replace(decision=shadow)))
        assert (line["outcome"], line["reason"], line["shadow"]) == ("allow", "shadow", "inactive")
        assert "shadow" not in json.loads(render(EVENT))

    def test_what_a_candidate_policy_says_otherwise_is_told(self) -> None:
        """With its rule and reason, if it came to a decision."""
        closed = Contrast(Kind.CLOSED, deny(Reason.INSUFFICIENT_SCOPE, rule="new"))
        told = json.loads(render(EVENT._replace(contrast=closed)))["candidate"]
        assert told == {"kind": "closed", "outcome": "deny", "reason": "insufficient_scope", "rule": "new"}
        told = json.loads(render(EVENT._replace(contrast=Contrast(Kind.UNKNOWN))))["candidate"]
        assert told == {"kind": "unknown"}
        assert "candidate" not in json.loads(render(EVENT))

    def test_a_fault_is_named_only_when_there_is_one(self) -> None:
        """By its type; the text of an exception may hold anything."""
        assert "fault" not in json.loads(render(EVENT))
        assert json.loads(render(EVENT._replace(fault="KeyError")))["fault"] == "KeyError"

    @pytest.mark.shows("E76")
    @given(text=st.text(st.characters(exclude_categories=["Cs"])))
    def test_no_request_can_write_a_second_line(self, text: str) -> None:
        """Line feeds and control characters of a client stay inside their strings."""
        line = render(EVENT._replace(path=text, host=text, method=text, request_id=text))
        assert (line.count(b"\n"), line[-1:]) == (1, b"\n")
        assert json.loads(line)["path"] == text

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


class TestWriting:
    """From a thread of its own, in order, whole lines."""

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
        streams = [os.fdopen(descriptor, "wb") for descriptor in (writing, os.dup(writing))]
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
        assert pipe.entered.wait(5)
        started = time.monotonic()
        for event in numbered(1000):
            log.checked(event)
        assert time.monotonic() - started < 1.0, "requests are not held up"
        pipe.open.set()
        log.close()
        assert len(pipe.lines()) == 1 + 10
        assert sum(losses.told) == 990

    @pytest.mark.parametrize("error", [BrokenPipeError(), OSError(28, "No space left"), ValueError("closed file")])
    def test_a_broken_stream_loses_and_goes_on(self, error: Exception) -> None:
        """A disk that has room again is written to again."""
        pipe = Pipe()
        pipe.error = error
        log, losses = log_to(pipe)
        for event in numbered(7):
            log.checked(event)
        wait_until(lambda: sum(losses.told) == 7)
        pipe.error = None
        log.checked(EVENT)
        log.close()
        assert len(pipe.lines()) == 1
        assert sum(losses.told) == 7

    def test_a_loss_is_told_once(self) -> None:
        """The counter is not counted up for ever."""
        pipe = Pipe()
        pipe.error = BrokenPipeError()
        log, losses = log_to(pipe)
        log.checked(EVENT)
        wait_until(lambda: bool(losses.told))
        time.sleep(0.15)
        log.close()
        assert losses.told == [1]

    def test_room_is_for_many(self) -> None:
        """A pause of the disk of a second at full load."""
        assert audit.MAX_WAITING_LINES >= 50_000
