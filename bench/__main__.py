"""`python -m bench`: start everything, measure, print a table, write a file. From the root of the repository."""

import argparse
import os
import signal
import sys
import time

from bench import report
from bench.load import check_programs
from bench.measure import Sample, measure, systems
from bench.stage import NotAsExpected, Stage, open_stage
from bench.walk import ConnectionLost
from extauthz.cli.processes import MissingProgram, ProcessFailed

_ROUNDS, _SECONDS = 3, 3.0
_QUICK_SECONDS = 1.0


def main() -> int:
    """Run; the exit status is 1 when a number could not be taken. A missed target is a result and no failure."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # by way of open_stage, which ends what runs
    load_before = os.getloadavg()[0]
    begin = time.monotonic()
    try:
        check_programs()
        with open_stage() as stage:
            _say("starting all parts")
            stage.start()
            samples = _run(stage, options.rounds, options.seconds)
    except (MissingProgram, ProcessFailed, NotAsExpected, ConnectionLost) as error:
        _say(f"no result: {error}")
        return 1
    file = report.write(samples, rounds=options.rounds, seconds=options.seconds, load_before=load_before)
    print(report.table(samples))
    print("\n".join(["", *report.notes(samples), f"{time.monotonic() - begin:.0f} s; all of it in {file}"]))
    return 0


def _run(stage: Stage, rounds: int, seconds: float) -> report.Samples:
    rows = systems(stage)
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
    options = parser.parse_args()
    if options.rounds < 1 or options.seconds < 1:
        parser.error("at least one round and one second")
    if options.quick:
        options.seconds = _QUICK_SECONDS
    return options


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
