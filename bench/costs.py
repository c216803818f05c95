"""What a decision costs, from a results file: the figures that the model is fed with."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One cost. `measured` is false when the results file does not have it and the usual value stands in."""

    title: str
    value: float
    measured: bool


Costs = Mapping[str, Figure]
"""By short names, see `_WANTED`."""

_WANTED = {
    "envoy_us": ("authorizer behind Envoy (gRPC), cached token, CPU µs", ("Envoy", "extauthz", "authorizer_us"), 60),
    "envoy_gateway_us": ("Envoy itself, CPU µs a request", ("Envoy", "extauthz", "gateway_us"), 80),
    "nginx_us": ("authorizer behind NGINX, cached token, CPU µs", ("NGINX", "extauthz", "authorizer_us"), 60),
    "nginx_gateway_us": ("NGINX itself, CPU µs a request", ("NGINX", "extauthz", "gateway_us"), 30),
    "edge_us": ("authorizer behind NGINX with its edge cache full", ("NGINX", "edge cache", "authorizer_us"), 1),
    "edge_gateway_us": ("NGINX with its edge cache, CPU µs a request", ("NGINX", "edge cache", "gateway_us"), 25),
    "new_us": ("a never-seen token, authorizer's CPU µs", ("P4_cpu",), 1000),
    "shared_us": ("a token that another worker has asked about, from Redis, CPU µs", ("redis_cpu",), 400),
    "token_kib": ("memory for a cached token, KiB", ("P7a",), 3),
    "worker_mib": ("a worker at rest, MiB", ("P7b",), 90),
    "question_us": ("an introspection, CPU µs of the embedded authorization server", ("AS_sqlite_cpu",), 250),
}


def newest() -> Path:
    """The newest results file.

    Raises:
        FileNotFoundError: when there is none.
    """
    files = sorted(RESULTS.glob("*.json"), key=lambda file: json.loads(file.read_text(encoding="utf-8"))["at"])
    if not files:
        raise FileNotFoundError(f"no results in {RESULTS}: run make bench")
    return files[-1]


def read_costs(document: Mapping[str, Any]) -> Costs:
    """The costs that a results file has, and the usual ones where it has none."""
    return {name: _figure(document, *wanted) for name, wanted in _WANTED.items()}


def _figure(document: Mapping[str, Any], title: str, place: tuple[str, ...], usual: float) -> Figure:
    found = _in_figures(document, *place) if len(place) == 1 else _in_rows(document, *place)
    return Figure(title=title, value=usual if found is None else found, measured=found is not None)


def _in_figures(document: Mapping[str, Any], key: str) -> float | None:
    figure = document.get("figures", {}).get(key)
    return None if figure is None else float(figure["median"])


def _in_rows(document: Mapping[str, Any], section: str, name: str, value: str) -> float | None:
    for row in document["systems"]:
        if (row["section"], row["name"]) == (section, name) and value in row:
            return float(row[value]["median"])
    return None
