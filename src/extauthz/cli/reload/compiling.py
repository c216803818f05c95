"""The process that reads and compiles the files, and how it is started.

A large policy takes seconds of pure Python. In a thread these would be seconds in which every request waits its turn for
the interpreter; a process has one of its own, and gives way to the workers where the processor is short.
"""

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Final

from extauthz.cli.reload.outcome import Outcome, write
from extauthz.config.faults import ConfigError, Fault
from extauthz.config.load import load_service
from extauthz.config.sources import Sources

COMPILE_SECONDS: Final = 120.0
"""A process that takes longer is ended: ten thousand routes take two seconds of a processor."""

_PROGRAM: Final = "import os; os.nice(10); from extauthz.cli.reload.compiling import main; main()"

MAX_FAULTS: Final = 100
"""Those after them are only counted: a file of another kind has as many as it has lines, and all are told in every worker."""

_RECURSION: Final = 50_000
"""A path may have as many segments as fit into it, and the table is as deep as the longest one."""


async def compile_aside(config_path: Path, out: Path) -> None:
    """Write the outcome to a new file `out`. A process that fails is an outcome with a fault."""
    try:
        trouble = await _run(config_path, out)
    except OSError as error:
        trouble = f"the process that compiles cannot be started: {error.strerror}"
    if trouble:
        _write_trouble(trouble, config_path, out)


async def _run(config_path: Path, out: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _PROGRAM,
        str(config_path),
        str(out),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,  # ours may be the audit log
        start_new_session=True,
    )
    try:
        status = await asyncio.wait_for(process.wait(), COMPILE_SECONDS)
    except TimeoutError:
        return f"reading took longer than {COMPILE_SECONDS:.0f} seconds"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return "" if status == 0 else f"the process that compiles ended with status {status}: see the log"


def _write_trouble(trouble: str, config_path: Path, out: Path) -> None:
    out.unlink(missing_ok=True)  # the half of it
    write(out, Outcome(seen={}, faults=(Fault(file=str(config_path), line=1, column=1, message=trouble),)))


def _first(faults: tuple[Fault, ...]) -> tuple[Fault, ...]:
    more = len(faults) - MAX_FAULTS
    if more <= 0:
        return faults
    told = faults[:MAX_FAULTS]
    last = replace(faults[MAX_FAULTS], message=f"here and below are {more} more: extauthz check tells all", excerpt="")
    return (*told, replace(last, value="", hint=""))


def main() -> None:
    """Be that process."""
    config_path, out = map(Path, sys.argv[1:])
    sources = Sources()
    try:
        config = load_service(config_path, os.environ, sources)
    except ConfigError as error:
        write(out, Outcome(seen=dict(sources.seen), faults=_first(error.faults)))
        return
    sys.setrecursionlimit(_RECURSION)
    outcome = Outcome(seen=dict(sources.seen), settings=config.settings, digest=config.digest)
    write(out, outcome, config.snapshot)
