"""What a walk costs the part that answers it: how P4, P6 and the row of tokens count it."""

from collections.abc import Callable

from bench.load import Load
from bench.stage import NotAsExpected, Part, Stage
from bench.walk import walk


def walk_cost(
    stage: Stage, part: Part, question: Callable[[int], bytes], seconds: float, what: str
) -> tuple[Load, float]:
    """The load, and CPU µs for each answer, what is written behind the answers included.

    Raises:
        NotAsExpected: when an answer is no allow; `what` begins the message.
    """
    stage.settle([part])
    before = part.cpu_seconds()
    load = walk(part.port, question, seconds)
    stage.settle([part])
    if load.wrong:
        raise NotAsExpected(f"{what}: {load.wrong} of {load.requests} answers were wrong")
    return load, (part.cpu_seconds() - before) * 1e6 / load.requests
