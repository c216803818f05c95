"""`python -m bench.flame`: a flame graph of the hot path, by py-spy: where a worker is while it decides on cached tokens.

Asked over gRPC by the client of the rows, as long as it is watched. Watching another process takes root, or
`kernel.yama.ptrace_scope` 0.
"""

import argparse
import re
import subprocess
import sys
import threading
from pathlib import Path

from bench.costs import RESULTS
from bench.prove import fill
from bench.stage import Part, Stage, open_stage
from bench.walk import walk
from bench.workload import TOKENS

PICTURE = RESULTS / "flame.svg"

_SAMPLES_A_SECOND = 500
_TITLE = re.compile(r'(<text id="title"[^>]*>)[^<]*<')
"""py-spy writes its command line there, with the folders of this machine."""

_SECONDS = 15
_LONGER = 2
"""The load goes on for a while after the watching has ended."""


def draw(stage: Stage, seconds: int, picture: Path) -> None:
    """Watch one worker for so long."""
    _, introspection = stage.start_backends()
    part = stage.start_extauthz("extauthz", introspection)
    part.process.wait_for_port(part.port)
    fill(part, stage.questions, TOKENS)
    load = threading.Thread(target=walk, args=(part.port, stage.questions, float(seconds + _LONGER)))
    load.start()
    try:
        subprocess.run(_command(part, seconds, picture), check=True, timeout=seconds + 60)
    finally:
        load.join()
    picture.write_text(
        _TITLE.sub(r"\1extauthz: cached tokens over gRPC<", picture.read_text(encoding="utf-8")), encoding="utf-8"
    )


def _command(part: Part, seconds: int, picture: Path) -> list[str]:
    spy = str(Path(sys.executable).with_name("py-spy"))
    how = ["--rate", str(_SAMPLES_A_SECOND), "--duration", str(seconds), "--format", "flamegraph", "--gil"]
    return [spy, "record", "--pid", str(part.process.pid), *how, "--output", str(picture)]


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(prog="python -m bench.flame", description="A flame graph of the hot path.")
    parser.add_argument("--seconds", type=int, default=_SECONDS, help="how long to watch (%(default)s)")
    parser.add_argument("--output", type=Path, default=PICTURE)
    options = parser.parse_args()
    with open_stage() as stage:
        draw(stage, options.seconds, options.output)
    print(options.output)


if __name__ == "__main__":
    main()
