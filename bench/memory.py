"""P7: memory of a worker at rest, and of each token in its cache."""

import re
from pathlib import Path

from bench.figure import Figure, Progress
from bench.prove import fill
from bench.stage import NotAsExpected, Part, Stage
from bench.walk import IN_FLIGHT
from bench.workload import token

_WARM_UP = 2_000
_FIRST_TOKEN = 3_000_000
_KIB_PER_MIB = 1024


def measure(stage: Stage, _rounds: int, _seconds: float, say: Progress) -> list[Figure]:
    """One worker: as it is when it is ready, after some work, and with so many tokens more."""
    server, tokens = stage.start_server(), stage.many
    part = stage.start_extauthz("extauthz memory", server.url(0))
    part.process.wait_for_http(f"http://127.0.0.1:{part.ops}/readyz")
    stage.settle([part])
    at_rest, at_rest_shared = _kib(part, "Rss"), _kib(part, "Pss")
    say(f"P7: {at_rest / _KIB_PER_MIB:.1f} MiB at rest; now {tokens:,} tokens, which takes a while")
    _ask(part, stage, 0, _WARM_UP)
    stage.settle([part])
    before = _kib(part, "Pss")
    _ask(part, stage, _WARM_UP, tokens - _WARM_UP)
    stage.settle([part])
    per_token = (_kib(part, "Pss") - before) / (tokens - _WARM_UP)
    asked = server.asked()
    _ask(part, stage, 0, tokens)
    if server.asked() - asked > IN_FLIGHT:  # so many more may a walk ask about, and those are new
        raise NotAsExpected(f"P7: {server.asked() - asked} of {tokens} tokens were not in the cache")
    say(f"P7: {per_token:.2f} KiB for each token")
    part.process.stop()
    return [
        Figure(
            key="P7a",
            title=f"memory for each of {tokens:,} cached tokens, KiB",
            values=[per_token],
            target="<= 1.5",
        ),
        Figure(
            key="P7b",
            title="a worker at rest, resident, MiB",
            values=[at_rest / _KIB_PER_MIB],
            target="<= 70",
            digits=1,
        ),
        Figure(
            key="P7_shared",
            title="the same, shared pages divided by those who share them, MiB",
            values=[at_rest_shared / _KIB_PER_MIB],
            digits=1,
        ),
    ]


def _ask(part: Part, stage: Stage, first: int, count: int) -> None:
    fill(part, lambda number: stage.questions.bearing(token(_FIRST_TOKEN + first + number)), count)


def _kib(part: Part, what: str) -> int:
    """Memory of the one process."""
    text = Path(f"/proc/{part.process.pid}/smaps_rollup").read_text(encoding="ascii")
    found = re.search(rf"(?m)^{what}:\s+(\d+) kB$", text)
    assert found is not None
    return int(found[1])
