"""The audit log goes where the configuration says, in writes that its stream keeps whole."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from extauthz.app_record import recording
from extauthz.config.recording import Audit
from extauthz.core.decision import Allow, Reason
from extauthz.observe.events import Checked

EVENT = Checked("1", 0.0, "envoy", "", "GET", "", "/", Allow(Reason.ALLOWED, "orders", (), ()))


def settings(**said: Any) -> Audit:  # noqa: ANN401 - what a file can hold
    return Audit.model_validate(said)


def record(audit: Audit, count: int) -> None:
    recorders = recording(audit)
    for _ in range(count):
        recorders.observer.checked(EVENT)
    recorders.observer.flush()
    assert recorders.audit is not None
    recorders.audit.close()


def test_off_is_off() -> None:
    """No thread, no file, and nobody to ask whether it can be written."""
    recorders = recording(settings(path="off"))
    recorders.observer.checked(EVENT)
    recorders.observer.flush()
    assert (recorders.audit, recorders.recordable) == (None, None)


def test_a_file_is_begun_anew_when_it_is_full(tmp_path: Path) -> None:
    """As `rotate` says."""
    path = tmp_path / "audit.jsonl"
    record(settings(path=str(path), rotate={"size": "64KiB", "keep": 100}), 500)
    files = [*tmp_path.iterdir()]
    assert len(files) > 1
    assert sum(file.read_bytes().count(b"\n") for file in files) == 500


def test_only_a_share_of_the_allows_is_written(tmp_path: Path) -> None:
    """Here none."""
    record(settings(path=str(tmp_path / "audit.jsonl"), sample_allows=0), 10)
    assert (tmp_path / "audit.jsonl").read_bytes() == b""


def test_standard_output_stays_open(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Others write there too."""
    record(settings(path="stdout"), 3)
    os.write(1, b"on\n")
    lines = capfd.readouterr().out.splitlines()
    assert [json.loads(line)["rule"] for line in lines[:3]] == ["orders"] * 3
    assert lines[3] == "on"


@pytest.mark.parametrize(("on_loss", "asked"), [("deny", True), ("count", False)])
def test_whether_there_is_room_is_asked_where_the_file_says_so(tmp_path: Path, on_loss: str, asked: bool) -> None:
    """Else a decision does not wait for the answer."""
    recorders = recording(settings(path=str(tmp_path / "audit.jsonl"), on_loss=on_loss))
    assert (recorders.recordable is not None) is asked
    assert recorders.recordable is None or recorders.recordable()
    assert recorders.audit is not None
    recorders.audit.close()
