"""`python -m bench.guard`: whether a decision costs more than its budget. No clock is read.

What is asked, see `bench.guard_work`; what is counted, `bench.counting`; what it may cost, `bench/budget.yaml`.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import uvloop
import yaml

from bench.counting import Cost, Work, cost_of, kept_bytes
from bench.files import ROOT
from bench.guard_work import EXPECTED, WARM, Door, kinds, reasons, worker
from bench.workload import path, token
from extauthz.app import Service

BUDGET = Path(__file__).with_name("budget.yaml")
SLACK = 1.10
"""How far above the budget is still within it. The counts vary by less than a hundredth from run to run."""

_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
_HEAD = """\
# What a decision may cost, by Python version. Written by: python -m bench.guard --update
# instructions: Python bytecode; calls: Python and C functions; peak_bytes: memory held at once; kept_bytes: and after.
# What costs up to {slack} % more is still within it.
"""
_COUNT = 3 * 64
"""Pieces of work of each kind: for each of the units as many as the observers pass on together."""

_KEPT = 2_000

Counts = Mapping[str, Mapping[str, float]]
"""What each kind of work costs, by its name and the name of the unit."""


class NotAsExpected(Exception):  # noqa: N818 - it says what is the matter
    """An answer is not what it must be: counts taken now would mean nothing."""


async def count() -> Counts:
    """What each kind of work costs now."""
    with tempfile.TemporaryDirectory(prefix="extauthz-guard-") as folder:
        async with worker(Path(folder, "usual")) as service:
            await _ask_about(service, range(WARM))
            counts = {name: asdict(await _cost(works, service)) for name, works in kinds(service).items()}
        if (found := reasons(Path(folder, "usual", "audit.log"))) != EXPECTED:
            raise NotAsExpected(f"the answers were other ones: {sorted(found ^ EXPECTED)}")
        async with worker(Path(folder, "unrecorded"), audit={"path": "off"}) as service:
            await _ask_about(service, range(_KEPT))
            kept = await kept_bytes(partial(_ask_about, service, range(_KEPT, 2 * _KEPT))) / _KEPT
    return counts | {"a cached token": {"kept_bytes": kept}}


async def _ask_about(service: Service, numbers: range) -> None:
    door = Door(service)
    for number in numbers:
        await door.envoy(path(0, 0), token(number))()
    service.observer.flush()


async def _cost(works: Iterator[Work], service: Service) -> Cost:
    for _ in range(_COUNT):  # whatever is made when it is first needed
        await next(works)()
    service.observer.flush()
    return await cost_of([next(works) for _ in range(_COUNT)], service.observer.flush)


def excesses(counts: Counts, budget: Counts) -> list[str]:
    """A line for each cost that is over its budget, or that has none."""
    lines = []
    for name, costs in counts.items():
        for unit, value in costs.items():
            allowed = budget.get(name, {}).get(unit)
            if allowed is None:
                lines.append(f"{name}: {unit} has no budget; it is {value:,.0f}")
            elif value > allowed * SLACK:
                lines.append(f"{name}: {unit} {value:,.0f}, budget {allowed:,.0f}: {value / allowed - 1:+.0%}")
    return [*lines, *(f"{name}: has a budget and is not counted" for name in budget if name not in counts)]


def read_budget() -> dict[str, Counts]:
    """The budget of each Python version."""
    return yaml.safe_load(BUDGET.read_text(encoding="utf-8")) or {} if BUDGET.exists() else {}


def write_budget(counts: Counts) -> None:
    """These counts are the budget of this Python version from now on."""
    whole = {name: {unit: round(value) for unit, value in costs.items()} for name, costs in counts.items()}
    text = yaml.safe_dump(read_budget() | {_VERSION: whole}, sort_keys=False, width=120)
    BUDGET.write_text(_HEAD.format(slack=round((SLACK - 1) * 100)) + text, encoding="utf-8")


def table(counts: Counts, budget: Counts) -> str:
    """What was counted, beside what may be."""
    lines = []
    for name, costs in counts.items():
        cells = (f"{unit} {value:,.0f} ({budget.get(name, {}).get(unit, 0):,.0f})" for unit, value in costs.items())
        lines.append(f"{name + ':':28}{', '.join(cells)}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Count and compare; the exit status is 1 when something is over its budget."""
    parser = argparse.ArgumentParser(prog="python -m bench.guard", description=__doc__)
    parser.add_argument("--update", action="store_true", help="what it costs now is the budget")
    options = parser.parse_args(arguments)
    counts = uvloop.run(count())
    if options.update:
        write_budget(counts)
    budget = read_budget().get(_VERSION)
    if budget is None:
        print(f"no budget for Python {_VERSION}: nothing is compared. To set one: python -m bench.guard --update")
        return 0
    print(table(counts, budget))
    found = excesses(counts, budget)
    if found:
        print("\nA decision costs more than its budget:\n  " + "\n  ".join(found))
        print(f"If that is worth it: python -m bench.guard --update, and commit {BUDGET.relative_to(ROOT)}")
    return 1 if found else 0


if __name__ == "__main__":
    if os.environ.get("PYTHONHASHSEED") != "0":  # the order of sets, and how full tables are
        os.execve(  # noqa: S606 - ourselves
            sys.executable, [sys.executable, "-m", "bench.guard", *sys.argv[1:]], os.environ | {"PYTHONHASHSEED": "0"}
        )
    sys.exit(main())
