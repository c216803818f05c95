"""The level is changed while the program runs, by one process for all."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from extauthz.observe.log_level import CONFIGURED, LogLevel
from extauthz.observe.logs import configure


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Which of four lines come out, by a logger that was made before."""
    capsys.readouterr()
    for level in ("debug", "info", "warning", "error"):
        getattr(LOGGER, level)(f"a {level} line")
    return [line.split('"event": "a ')[1].split()[0] for line in capsys.readouterr().err.splitlines()]


LOGGER = structlog.get_logger("extauthz")


def test_it_takes_effect_at_once_and_can_be_taken_back(capsys: pytest.CaptureFixture[str]) -> None:
    """For loggers that are there already; nothing else about the lines changes."""
    configure("info", "json")
    level = LogLevel("info")
    level.set("debug")
    assert told(capsys) == ["debug", "info", "warning", "error"]
    level.set("error")
    assert told(capsys) == ["error"]
    level.set(CONFIGURED)
    assert told(capsys) == ["info", "warning", "error"]


def test_others_take_it_when_they_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each goes back to the level of its own; one that is started later looks, too."""
    configure("info", "json")
    one, other = LogLevel("info", tmp_path), LogLevel("warning", tmp_path)
    other.look()
    one.set("debug")
    one.set("error")
    configure("warning", "json")
    other.look()
    assert told(capsys) == ["error"]
    one.set(CONFIGURED)
    other.look()
    assert told(capsys) == ["warning", "error"]


def test_a_change_is_told_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """However often it is looked at."""
    configure("info", "json")
    level = LogLevel("info", tmp_path)
    level.set("debug")
    for _ in range(3):
        level.look()
    assert capsys.readouterr().err.count("log level changed") == 1
