"""The targets: what measures each, and which of them a run meets."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from bench import cold, embedded, herd, memory, mix, reload, scale, sharing, start, tokens
from bench.figure import Figure, Progress
from bench.stage import Stage

MEASURES: dict[str, Callable[[Stage, int, float, Progress], list[Figure]]] = {
    "P4": cold.measure,
    "P5": herd.measure,
    "P6": scale.measure,
    "P7": memory.measure,
    "P8": mix.measure,
    "P9": start.measure,
    "P11": reload.measure,
    "tokens": tokens.measure,
    "redis": sharing.measure,
    "authserver": embedded.measure,
}
"""What is measured by itself: each takes the stage, how many rounds, how many seconds each, and whom to tell."""

SECTIONS = {
    "P1": ("gRPC", "gRPC, few"),
    "P2": ("Envoy",),
    "P3": ("NGINX",),
    "P10": ("gRPC",),
    "dialects": ("HTTP",),
    "workers": ("workers",),
    "options": ("options",),
    "peers": ("peers",),
}
"""What is measured by rows of the large table."""

ALL = (
    *(f"P{number}" for number in range(1, 12)),
    "dialects",
    "workers",
    "options",
    "tokens",
    "redis",
    "authserver",
    "peers",
)
"""What `--only` takes: the targets, and what has none."""


def sections(keys: Collection[str]) -> set[str]:
    """Those of the large table that these targets need."""
    return {section for key in keys for section in SECTIONS.get(key, ())}


def judged(figures: Sequence[Figure]) -> dict[str, dict[str, Any]]:
    """Each target with its value and whether it is met.

    A target with several figures has all of them in `figures`. Outside stand value and target of the first, or of the
    first that is missed, so that `met` is true only if it is true of each.
    """
    found: dict[str, list[Figure]] = {}
    for figure in figures:
        if figure.target:
            found.setdefault(figure.key.rstrip("abc"), []).append(figure)
    return {key: _judged(each) for key, each in found.items()}


def _judged(figures: Sequence[Figure]) -> dict[str, Any]:
    decisive = next((figure for figure in figures if not figure.met), figures[0])
    several = {figure.key: _verdict(figure, title=figure.title) for figure in figures}
    return {**_verdict(decisive), **({"figures": several} if len(figures) > 1 else {})}


def _verdict(figure: Figure, **more: str) -> dict[str, Any]:
    return {**more, "value": round(figure.value, 2), "target": figure.target, "met": figure.met}


def table(figures: Sequence[Figure]) -> str:
    """All figures as Markdown."""
    lines = [_line(figure) for figure in figures]
    return "\n".join(["| | figure | measured (least-greatest) | target | |", "|---|---|---|---|---|", *lines])


def _line(figure: Figure) -> str:
    met = "" if not figure.target else "met" if figure.met else "**missed**"
    return f"| {figure.key} | {figure.title} | {figure.text} | {figure.target} | {met} |"
