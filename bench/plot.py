"""`python -m bench.plot FILE`: pictures of a results file, beside it. Nothing else is read.

Requests per second, latency at p50, p99 and p99.9, CPU for each request and memory, the last two split by process.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pygal
from pygal.style import CleanStyle

from bench.costs import newest

# pygal hooks into all imports of the process, for maps that are not used here, in a way that Python has given up.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]

Rows = Sequence[Mapping[str, Any]]
Series = Mapping[str, Sequence[float | None]]
"""A value for each row, by what it is."""

_ROW_PIXELS = 34
_HEAD_PIXELS = 140
_PARTS = ("authorizer", "gateway")
_PERCENTILES = {"p50": "p50_ms", "p99": "p99_ms", "p99.9": "p999_ms"}


def plots(document: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Name and SVG of each picture that the results have something for."""
    rows = document["systems"]
    for name, title, series, chart in (
        ("rate", "requests/s", {"requests/s": _medians(rows, "rate")}, pygal.HorizontalBar),
        ("latency", "latency, ms", _series(rows, _PERCENTILES), _logarithmic),
        ("cpu", "CPU for each request, µs", _by_part(rows, "us"), pygal.HorizontalStackedBar),
        ("memory", "memory, MiB", _by_part(rows, "mib"), pygal.HorizontalStackedBar),
    ):
        there = {key: values for key, values in series.items() if any(value is not None for value in values)}
        if there:
            yield name, _drawn(chart, f"{title}. {_source(document)}", rows, there)


def _series(rows: Rows, names: Mapping[str, str]) -> Series:
    return {title: _medians(rows, name) for title, name in names.items()}


def _by_part(rows: Rows, unit: str) -> Series:
    return _series(rows, {part: f"{part}_{unit}" for part in _PARTS})


def _medians(rows: Rows, name: str) -> list[float | None]:
    return [row[name]["median"] if name in row else None for row in rows]


def _source(document: Mapping[str, Any]) -> str:
    machine = document["machine"]
    return f"{document['at'][:10]}, {machine['cpu']}, {machine['cores']} cores; medians of {document['rounds']} rounds"


def _logarithmic(**options: object) -> Any:  # noqa: ANN401 - pygal has no types
    """Percentiles lie orders of magnitude apart."""
    return pygal.HorizontalBar(logarithmic=True, **options)


def _drawn(chart: Callable[..., Any], title: str, rows: Rows, series: Series) -> bytes:
    """One picture. Bars grow from the bottom upwards, so rows are turned round: the first one is on top."""
    drawn = chart(
        title=title,
        style=CleanStyle(title_font_size=14, legend_font_size=12, label_font_size=11, value_font_size=9),
        height=_HEAD_PIXELS + _ROW_PIXELS * len(rows),
        width=1000,
        legend_at_bottom=True,
        print_values=True,
        value_formatter=_text,
    )
    drawn.uuid = "plot"  # else it is made by chance, and the same figures never give the same file
    drawn.x_labels = [f"{row['section']}: {row['name']}" for row in reversed(rows)]
    for name, values in series.items():
        drawn.add(name, list(reversed(values)))
    return bytes(ET.tostring(_still(drawn.render_tree()), encoding="utf-8"))


def _still(root: Any) -> Any:  # noqa: ANN401 - pygal has no types
    """Without scripts, and without a note of the day on which it was drawn."""
    for parent in [*root.iter()]:
        for child in [*parent]:
            if not isinstance(child.tag, str) or child.tag.endswith("script"):
                parent.remove(child)
    return root


def _text(value: float | None) -> str:
    return "" if not value else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def write(file: Path) -> list[Path]:
    """Draw the results of a file, beside it; what was written."""
    written = []
    for name, picture in plots(json.loads(file.read_text(encoding="utf-8"))):
        target = file.with_name(f"{file.stem}-{name}.svg")
        target.write_bytes(picture)
        written.append(target)
    return written


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(prog="python -m bench.plot", description="Pictures of a results file.")
    parser.add_argument("file", nargs="?", type=Path, help="a results file; the newest one unless named")
    print("\n".join(str(path) for path in write(parser.parse_args().file or newest())))


if __name__ == "__main__":
    main()
