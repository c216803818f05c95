"""What the operator reads: trouble told once, again after a while, and its end."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from extauthz.core.decision import Reason, deny
from extauthz.observe.events import Checked, Happened, Happening, Introspected
from extauthz.observe.logs import TroubleLog, configure, set_level
from extauthz.observe.seldom import REPEAT_SECONDS
from extauthz.testing import TickingClock

TIMEOUT = Introspected(server="main", outcome="server_timeout", took_seconds=0.5, detail="no answer within 0.5 seconds")
REFUSED = replace(TIMEOUT, outcome="server_unreachable", detail="ConnectError: refused")
GOOD = replace(TIMEOUT, outcome="active", detail="")
CHECKED = Checked(
    decision_id="1",
    at=0.0,
    door="envoy",
    request_id="",
    method="GET",
    host="",
    path="/",
    decision=deny(Reason.SERVER_TIMEOUT),
)


class Bench:
    """A log, its clock, and what it said."""

    def __init__(self, lines: list[Any]) -> None:
        self.clock = TickingClock()
        self.log = TroubleLog(self.clock)
        self.everything = lines

    @property
    def lines(self) -> list[Any]:
        """All above level debug."""
        return [line for line in self.everything if line["log_level"] != "debug"]

    def told(self) -> list[tuple[str, str]]:
        """Level and reason, or the server for good news; forgets them."""
        told = [(line["log_level"], line.get("reason", line.get("server", ""))) for line in self.lines]
        self.everything.clear()
        return told


@pytest.fixture
def bench() -> Iterator[Bench]:
    with capture_logs() as lines:
        yield Bench(lines)


class TestTrouble:
    """With one authorization server."""

    def test_its_beginning_is_told_at_once_and_once(self, bench: Bench) -> None:
        """Not for each of a thousand requests."""
        for _ in range(1000):
            bench.log.introspected(TIMEOUT)
        assert bench.told() == [("error", "server_timeout")]

    def test_it_is_told_again_while_it_lasts(self, bench: Bench) -> None:
        """Every ten seconds, with the number of questions since."""
        for _ in range(35):
            bench.log.introspected(TIMEOUT)
            bench.clock.advance(1.0)
        assert [line["questions"] for line in bench.lines] == [1, 10, 10, 10]

    def test_repeating_is_by_the_clock_and_not_by_the_count(self, bench: Bench) -> None:
        """Just before and just after ten seconds."""
        bench.log.introspected(TIMEOUT)
        bench.clock.advance(REPEAT_SECONDS - 0.001)
        bench.log.introspected(TIMEOUT)
        assert len(bench.lines) == 1
        bench.clock.advance(0.001)
        bench.log.introspected(TIMEOUT)
        assert len(bench.lines) == 2

    def test_its_end_is_told_once(self, bench: Bench) -> None:
        """And nothing is said of answers before or after."""
        for event in (GOOD, TIMEOUT, GOOD, GOOD):
            bench.log.introspected(event)
        assert bench.told() == [("error", "server_timeout"), ("info", "main")]

    @pytest.mark.parametrize("outcome", ["active", "inactive"])
    def test_any_answer_about_a_token_ends_it(self, bench: Bench, outcome: str) -> None:
        """An inactive token is a good answer of the server."""
        bench.log.introspected(TIMEOUT)
        bench.log.introspected(replace(GOOD, outcome=outcome))
        assert bench.told() == [("error", "server_timeout"), ("info", "main")]

    def test_another_kind_is_told_too(self, bench: Bench) -> None:
        """First slow, then gone."""
        for event in (TIMEOUT, TIMEOUT, REFUSED, REFUSED):
            bench.log.introspected(event)
        assert bench.told() == [("error", "server_timeout"), ("error", "server_unreachable")]

    def test_kinds_that_take_turns_are_not_told_for_each_question(self, bench: Bench) -> None:
        """An overloaded server is slow for one question and gone for the next."""
        for _ in range(500):
            bench.log.introspected(TIMEOUT)
            bench.log.introspected(REFUSED)
        assert len(bench.lines) <= 2

    def test_a_server_that_answers_every_other_question_does_not_flood_the_log(self, bench: Bench) -> None:
        """One line for its beginning and one for its end, ten seconds long."""
        for _ in range(500):
            bench.log.introspected(TIMEOUT)
            bench.log.introspected(GOOD)
        assert len(bench.lines) <= 4

    def test_servers_are_told_apart(self, bench: Bench) -> None:
        """Each has its own beginning and end."""
        other = replace(TIMEOUT, server="other")
        for event in (TIMEOUT, other, GOOD, replace(GOOD, server="third")):
            bench.log.introspected(event)
        assert [(line["log_level"], line["server"]) for line in bench.lines] == [
            ("error", "main"),
            ("error", "other"),
            ("info", "main"),
        ]

    @pytest.mark.shows("O16", "S25", "E68")
    @pytest.mark.parametrize("reason", [reason for reason in Reason if reason.startswith("server_")])
    def test_it_says_what_to_do(self, bench: Bench, reason: Reason) -> None:
        """Reason, detail and advice."""
        bench.log.introspected(replace(TIMEOUT, outcome=reason.value, detail="the detail"))
        (line,) = bench.lines
        assert (line["server"], line["reason"], line["detail"]) == ("main", reason.value, "the detail")
        assert line["advice"]
        assert "503" in line["event"]


class TestSelfCheck:
    """A server that fails at the start is told of with what to do about that failure."""

    FAILED = Happened(what=Happening.SELF_CHECK_FAILED, subject="main", detail="the detail")

    @pytest.mark.parametrize("reason", [reason for reason in Reason if reason.startswith("server_")])
    def test_the_advice_is_that_of_the_reason(self, bench: Bench, reason: Reason) -> None:
        """As where it fails later: nobody looks for a wrong secret while the network is down."""
        bench.log.introspected(replace(TIMEOUT, outcome=reason.value))
        bench.log.happened(replace(self.FAILED, reason=reason))
        later, first = bench.lines
        assert first["advice"] == later["advice"]

    def test_a_server_that_answered_is_no_introspection_endpoint(self, bench: Bench) -> None:
        """Not if it calls a random token active."""
        bench.log.happened(self.FAILED)
        assert "introspection_endpoint" in bench.lines[0]["advice"]


class TestDecisions:
    """They are the audit log's business, except for our own defects."""

    def test_a_denial_is_not_told(self, bench: Bench) -> None:
        """Not even one because of trouble."""
        bench.log.checked(CHECKED)
        assert bench.lines == []

    def test_a_defect_is_told(self, bench: Bench) -> None:
        """By the type of the exception."""
        bench.log.checked(CHECKED._replace(decision=deny(Reason.INTERNAL), fault="KeyError"))
        (line,) = bench.lines
        assert (line["log_level"], line["fault"], line["door"]) == ("error", "KeyError", "envoy")


@pytest.fixture
def configured() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("configured")
class TestDebug:
    """Told when it is asked for."""

    def test_each_question_is_told(self, bench: Bench) -> None:
        """Which server, how it ended, how long it took; not about whom."""
        set_level("debug")
        bench.log.introspected(GOOD)
        (line,) = bench.everything
        assert (line["log_level"], line["server"], line["outcome"], line["took_ms"]) == ("debug", "main", "active", 500)

    def test_what_is_otherwise_only_counted_is_told(self, bench: Bench) -> None:
        """Repetitions, overload, batches."""
        set_level("debug")
        bench.log.happened(Happened(what=Happening.RETRIED, subject="main", detail="server_error"))
        (line,) = bench.everything
        assert (line["log_level"], line["event"], line["subject"]) == ("debug", "retried", "main")

    @pytest.mark.parametrize("level", ["", "info"])
    def test_nothing_of_it_is_told_otherwise(self, bench: Bench, level: str) -> None:
        """Nor by a command whose output is its own, which has configured nothing."""
        if level:
            set_level(level)
        bench.log.introspected(GOOD)
        bench.log.happened(Happened(what=Happening.RETRIED, subject="main"))
        assert bench.everything == []


@pytest.mark.usefixtures("configured")
class TestConfigure:
    """How lines look, and which are written."""

    def test_json_is_one_object_a_line_on_standard_error(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Standard output belongs to the audit log."""
        configure("info", "json")
        structlog.get_logger("extauthz").info("ready", routes=3)
        captured = capsys.readouterr()
        line = json.loads(captured.err)
        assert captured.out == ""
        assert line.pop("timestamp").endswith("Z")
        assert line == {"event": "ready", "level": "info", "routes": 3}

    def test_console_is_for_people(self, capsys: pytest.CaptureFixture[str]) -> None:
        """Without colours where nobody sees them."""
        configure("info", "console")
        structlog.get_logger("extauthz").info("ready", routes=3)
        line = capsys.readouterr().err
        assert "ready" in line
        assert "routes=3" in line
        assert "\x1b" not in line

    @pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
    def test_lines_below_the_level_are_left_out(self, capsys: pytest.CaptureFixture[str], level: str) -> None:
        """All levels that the file may name."""
        configure(level, "json")
        log: structlog.typing.FilteringBoundLogger = structlog.get_logger("extauthz")
        for written in ("debug", "info", "warning", "error"):
            log.log(logging.getLevelNamesMapping()[written.upper()], "line")
        levels = [json.loads(line)["level"] for line in capsys.readouterr().err.splitlines()]
        assert levels == ["debug", "info", "warning", "error"][["debug", "info", "warning", "error"].index(level) :]
