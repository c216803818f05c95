"""What a run says: a table for people, a file for later, and the targets that it meets or misses."""

import json
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import targets
from bench.figure import Figure
from bench.measure import Sample
from extauthz.cli.processes import envoy_command, nginx_command

RESULTS = Path(__file__).with_name("results")

Row = tuple[str, str]
"""Section and name of a system."""

Samples = Mapping[Row, Sequence[Sample]]

_PACKAGES = ("extauthz", "h2corn", "grpcio", "protobuf", "uvloop", "prometheus-client", "orjson")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Two rows compared round by round.

    Attributes:
        value: what of a row; `rate` or `authorizer_us`. The others are as for `Figure`.
    """

    key: str
    title: str
    top: Row
    bottom: Row
    value: str
    target: str = ""


RATIOS = (
    Ratio(
        key="P1",
        title="CPU of a gRPC decision: extauthz / no-op",
        top=("gRPC", "extauthz, h2corn"),
        bottom=("gRPC", "no-op, h2corn"),
        value="authorizer_us",
        target="<= 1.5",
    ),
    Ratio(
        key="P2",
        title="requests/s through Envoy: extauthz / no-op",
        top=("Envoy", "extauthz"),
        bottom=("Envoy", "no-op"),
        value="rate",
        target=">= 0.85",
    ),
    Ratio(
        key="P3a",
        title="requests/s through NGINX: extauthz / no-op",
        top=("NGINX", "extauthz"),
        bottom=("NGINX", "no-op"),
        value="rate",
        target=">= 0.7",
    ),
    Ratio(
        key="P3b",
        title="requests/s through NGINX: edge cache / return 200",
        top=("NGINX", "edge cache"),
        bottom=("NGINX", "return 200"),
        value="rate",
        target=">= 1.3",
    ),
    Ratio(
        key="P1_few",
        title="CPU of a gRPC decision, 8 questions over and over: extauthz / no-op",
        top=("gRPC, few", "extauthz, h2corn"),
        bottom=("gRPC, few", "no-op, h2corn"),
        value="authorizer_us",
    ),
    Ratio(
        key="P1_envoy",
        title="CPU of a gRPC decision asked by Envoy: extauthz / no-op",
        top=("Envoy", "extauthz"),
        bottom=("Envoy", "no-op"),
        value="authorizer_us",
    ),
    Ratio(
        key="P10_same_server",
        title="CPU of a gRPC decision on grpcio: extauthz / no-op",
        top=("gRPC", "extauthz, grpcio"),
        bottom=("gRPC", "no-op, grpcio"),
        value="authorizer_us",
    ),
    Ratio(
        key="P10_servers",
        title="CPU of a gRPC decision: extauthz on grpcio / on h2corn",
        top=("gRPC", "extauthz, grpcio"),
        bottom=("gRPC", "extauthz, h2corn"),
        value="authorizer_us",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A median with the least and the greatest of its rounds."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of one value for each round."""
        return cls(median=statistics.median(values), min=min(values), max=max(values))

    def text(self, form: Callable[[float], str]) -> str:
        """For a table."""
        return f"{form(self.median)} ({form(self.min)}-{form(self.max)})"


def ratios(samples: Samples) -> list[Figure]:
    """The ratio of each round; rounds are near each other in time, so a slow minute hits both sides."""
    there = [kind for kind in RATIOS if kind.top in samples and kind.bottom in samples]
    return [
        Figure(key=kind.key, title=kind.title, values=_divided(kind, samples), target=kind.target) for kind in there
    ]


def _divided(kind: Ratio, samples: Samples) -> list[float]:
    pairs = zip(samples[kind.top], samples[kind.bottom], strict=True)
    return [_value(top, kind.value) / _value(bottom, kind.value) for top, bottom in pairs]


def _value(sample: Sample, name: str) -> float:
    return float(getattr(sample, name))


def table(samples: Samples) -> str:
    """Rows as Markdown."""
    lines = [
        "| | | requests/s | authorizer, CPU µs/request | gateway, CPU µs/request | p50 ms | p99 ms | p99.9 ms |",
        "|---|---|---|---|---|---|---|---|",
        *(_line(row, rounds) for row, rounds in samples.items()),
        "",
    ]
    return "\n".join(lines) if samples else ""


def _line(row: Row, rounds: Sequence[Sample]) -> str:
    cells = (
        _cell(rounds, "rate", lambda value: f"{value:,.0f}"),
        _cell(rounds, "authorizer_us", lambda value: f"{value:.1f}"),
        _cell(rounds, "gateway_us", lambda value: f"{value:.1f}"),
        _cell(rounds, "p50_ms", lambda value: f"{value:.2f}"),
        _cell(rounds, "p99_ms", lambda value: f"{value:.2f}"),
        _cell(rounds, "p999_ms", lambda value: f"{value:.2f}"),
    )
    return f"| {' | '.join((*row, *cells))} |"


def _cell(rounds: Sequence[Sample], name: str, form: Callable[[float], str]) -> str:
    values = [getattr(sample, name) for sample in rounds]
    return "" if None in values else Spread.of(values).text(form)


def notes(samples: Samples) -> list[str]:
    """What a reader of the table must know besides."""
    found = []
    for row, rounds in samples.items():
        unrecorded = sum(sample.unrecorded for sample in rounds)
        if unrecorded:
            total = sum(sample.requests for sample in rounds)
            found.append(
                f"{': '.join(row)}: the audit log dropped {unrecorded:,} of {total:,} decisions under this load"
            )
        asked = [sample.asked for sample in rounds if sample.asked is not None]
        if asked and max(asked) < 0.99:
            found.append(f"{': '.join(row)}: {statistics.median(asked):.1%} of the requests reached extauthz")
    return found


def write(
    samples: Samples,
    figures: Sequence[Figure],
    remarks: Sequence[str],
    *,
    rounds: int,
    seconds: float,
    load_before: float,
) -> Path:
    """Write the results file; its path."""
    now = datetime.now(UTC)
    document = {
        "at": now.isoformat(timespec="seconds"),
        "machine": {
            "cpu": _cpu_model(),
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "load_average_before": round(load_before, 2),
        },
        "versions": _versions(),
        "rounds": rounds,
        "seconds": seconds,
        "targets": targets.judged(figures),
        "figures": {each.key: _figure(each) for each in figures},
        "systems": [_system(row, each) for row, each in samples.items()],
        "notes": remarks,
    }
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{now:%Y-%m-%d}-{_machine_name()}.json"
    file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return file


def _figure(figure: Figure) -> dict[str, Any]:
    values = [round(value, 3) for value in figure.values]
    return {"title": figure.title, **_rounded(Spread.of(figure.values)), "rounds": values}


def _system(row: Row, rounds: Sequence[Sample]) -> dict[str, Any]:
    figures = ("rate", "authorizer_us", "gateway_us", "authorizer_mib", "gateway_mib", "p50_ms", "p99_ms", "p999_ms")
    spreads = {
        name: _rounded(Spread.of([_value(sample, name) for sample in rounds]))
        for name in figures
        if getattr(rounds[0], name) is not None
    }
    raw = [{key: round(value, 3) for key, value in asdict(sample).items() if value is not None} for sample in rounds]
    return {"section": row[0], "name": row[1], **spreads, "rounds": raw}


def _rounded(spread: Spread) -> dict[str, float]:
    return {key: round(value, 3) for key, value in asdict(spread).items()}


def _cpu_model() -> str:
    found = re.search(r"(?m)^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"))
    return found[1] if found is not None else platform.machine()


def _machine_name() -> str:
    """For a file name; the machine's own name is nobody's business."""
    return re.sub(r"[^a-z0-9]+", "-", f"{_cpu_model()} {os.cpu_count()} cores".lower()).strip("-")


def _versions() -> dict[str, str]:
    programs = {
        "envoy": ([envoy_command(Path())[0], "--version"], r"/(\d+\.\d+\.\d+)/"),
        "nginx": ([nginx_command(Path(), Path())[0], "-v"], r"nginx/(\S+)"),
        "wrk": (["wrk", "--version"], r"wrk (\S+)"),
        "h2load": (["h2load", "--version"], r"nghttp2/(\S+)"),
        "redis": (["redis-server", "--version"], r"v=(\S+)"),
    }
    return {
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
        **{name: _said(command, pattern) for name, (command, pattern) in programs.items()},
    }


def _said(command: list[str], pattern: str) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=10)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found is not None else "unknown"
