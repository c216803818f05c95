"""Pictures come from the results file alone, and show every row that it has."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from bench.plot import plots, write


def row(name: str, **medians: float) -> dict[str, Any]:
    return {"section": "Envoy", "name": name, **{key: {"median": value} for key, value in medians.items()}}


DOCUMENT = {
    "at": "2026-01-02T03:04:05+00:00",
    "machine": {"cpu": "a processor", "cores": 2},
    "rounds": 3,
    "systems": [
        row("extauthz", rate=5000.0, p50_ms=1.5, p99_ms=9.5, p999_ms=21.25, authorizer_us=33.5, gateway_us=61.5),
        row("no check", rate=9000.0, p50_ms=0.5, p99_ms=1.0, p999_ms=3.0, gateway_us=30.0),
    ],
}


def texts(picture: bytes) -> list[str]:
    """All that can be read in it."""
    root = ET.fromstring(picture)  # noqa: S314 - drawn here
    return [text for element in root.iter() if (text := (element.text or "").strip())]


def test_each_picture_shows_every_row_and_its_figures() -> None:
    """Rates, percentiles, and CPU by process."""
    pictures = {name: texts(picture) for name, picture in plots(DOCUMENT)}
    assert all({"Envoy: extauthz", "Envoy: no check"} <= {*said} for said in pictures.values())
    assert {"5,000", "9,000"} <= {*pictures["rate"]}
    assert {"p50", "p99", "p99.9", "21.2"} <= {*pictures["latency"]}
    assert {"authorizer", "gateway", "33.5", "61.5"} <= {*pictures["cpu"]}


def test_what_the_results_do_not_have_is_no_picture() -> None:
    """Files from before memory was recorded have none."""
    assert [name for name, _ in plots(DOCUMENT)] == ["rate", "latency", "cpu"]
    rows = [row("extauthz", authorizer_mib=80.0)]
    assert [name for name, _ in plots(DOCUMENT | {"systems": rows})] == ["memory"]


def test_pictures_say_when_and_where_it_was_measured() -> None:
    """A figure without its machine means nothing."""
    assert all(
        "2026-01-02, a processor, 2 cores; medians of 3 rounds" in "".join(texts(each)) for _, each in plots(DOCUMENT)
    )


def test_pictures_stand_beside_the_file_and_are_the_same_every_time(tmp_path: Path) -> None:
    """They run no script and load nothing."""
    file = tmp_path / "results.json"
    file.write_text(json.dumps(DOCUMENT), encoding="utf-8")
    first = {path.name: path.read_bytes() for path in write(file)}
    assert {path.name: path.read_bytes() for path in write(file)} == first
    assert {*first} == {"results-rate.svg", "results-latency.svg", "results-cpu.svg"}
    assert not any(word in picture for picture in first.values() for word in (b"script", b"Generated"))
