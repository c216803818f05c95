"""`python -m bench`: start everything, measure, print a table, write a file. From the root of the repository."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence

from bench import peers, plot, report, simulate, targets
from bench.cast import CAST
from bench.figure import Figure
from bench.load import check_programs
from bench.measure import Sample, System, measure, systems
from bench.prove import prove
from bench.stage import NotAsExpected, Stage, open_stage
from bench.walk import ConnectionLost
from extauthz.cli.processes import MissingProgram, ProcessFailed

_ROUNDS, _SECONDS = 3, 3.0
_QUICK_SECONDS = 1.0
_MANY, _QUICK_MANY = 100_000, 5_000
"""Tokens where many are meant."""


def main() -> int:
    """Run; the exit status is 1 when a number could not be taken. A missed target is a result and no failure."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of open_stage, which ends what runs
    load_before = os.getloadavg()[0]
    begin = time.monotonic()
    try:
        check_programs()
        with open_stage(CAST, many=_QUICK_MANY if options.quick else _MANY) as stage:
            samples = _rows(stage, options)
            figures = [*report.ratios(samples), *_figures(stage, options)]
    except (MissingProgram, ProcessFailed, NotAsExpected, ConnectionLost) as error:
        _say(f"no result: {error}")
        return 1
    remarks = [*report.notes(samples), *(peers.not_installed() if "peers" in options.only else [])]
    print("\n".join([report.table(samples), targets.table(figures), "", *remarks]))
    took = f"{time.monotonic() - begin:.0f} s"
    if options.only == targets.ALL:
        where = report.write(
            samples, figures, remarks, rounds=options.rounds, seconds=options.seconds, load_before=load_before
        )
        pictures = plot.write(where)
        simulate.write_page()
        print(f"{took}; all of it in {where}, {len(pictures)} pictures beside it, docs/scaling.md made anew")
    else:
        print(f"{took}; no file is written for a part of it")
    return 0


def _rows(stage: Stage, options: argparse.Namespace) -> report.Samples:
    sections = targets.sections(options.only)
    if not sections:
        return {}
    _say("starting all parts")
    rows = systems(stage, sections)
    prove(stage)
    return _run(rows, stage, options.rounds, options.seconds)


def _figures(stage: Stage, options: argparse.Namespace) -> Iterator[Figure]:
    for key, measured in targets.MEASURES.items():
        if key in options.only:
            yield from measured(stage, options.rounds, options.seconds, _say)


def _run(rows: Sequence[System], stage: Stage, rounds: int, seconds: float) -> report.Samples:
    samples: dict[report.Row, list[Sample]] = {(row.section, row.name): [] for row in rows}
    for number in range(1, rounds + 1):
        for row in rows:
            sample = measure(row, stage, seconds)
            samples[row.section, row.name].append(sample)
            _say(f"{number}/{rounds}  {row.section}: {row.name}  {sample.rate:,.0f}/s")
    return samples


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What a decision costs. See bench/README.md.")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="how often each system has its turn (%(default)s)")
    parser.add_argument("--seconds", type=float, default=_SECONDS, help="how long each turn takes (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="turns of one second: about a minute in all, and noisier")
    parser.add_argument("--only", default=",".join(targets.ALL), help="targets, as P5,P7; all of them unless named")
    options = parser.parse_args()
    options.only = tuple(key for key in targets.ALL if key in options.only.split(","))
    if not options.only:
        parser.error(f"--only takes some of {','.join(targets.ALL)}")
    if options.rounds < 1 or options.seconds < 1:
        parser.error("at least one round and one second")
    if options.quick:
        options.seconds = _QUICK_SECONDS
    return options


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
