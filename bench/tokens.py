"""What a decision costs with many tokens in the cache, against one, and against the no-op in the same run."""

from collections.abc import Callable

from bench.figure import Figure, Progress
from bench.prove import fill
from bench.stage import Stage
from bench.walk_cost import walk_cost
from bench.workload import token

_COUNTS = (1, 100, 10_000, 100_000)
_NO_OP = 0
_FIRST_TOKEN = 5_000_000
_STRIDE = 7_919
"""A prime: the walk comes to each token, and not in the order in which they were kept."""


def measure(stage: Stage, rounds: int, seconds: float, say: Progress) -> list[Figure]:
    """One worker that has all of them; in turns, the walk is over some or all."""
    floor = stage.start_floor("h2corn", "no-op for tokens")
    part = stage.start_extauthz("extauthz tokens", stage.start_server().url(0))
    for each in (floor, part):
        each.process.wait_for_port(each.port)
    counts = sorted({min(count, stage.many) for count in _COUNTS})
    say(f"tokens: {counts[-1]:,} of them first, which takes a while")
    fill(part, _question(stage, counts[-1]), counts[-1])
    costs: dict[int, list[float]] = {count: [] for count in (_NO_OP, *counts)}
    for number in range(1, rounds + 1):
        for count, values in costs.items():
            asked = part if count else floor
            values.append(walk_cost(stage, asked, _question(stage, count or 1), seconds, "tokens")[1])
        say(f"{number}/{rounds}  tokens: " + ", ".join(f"{_name(n)} {each[-1]:.1f} µs" for n, each in costs.items()))
    for each in (floor, part):
        each.process.stop()
    return [
        Figure(key=f"tokens_{count}", title=f"CPU of a gRPC decision, {_name(count)}, µs", values=values, digits=1)
        for count, values in costs.items()
    ]


def _name(count: int) -> str:
    return f"walk over {count:,} cached tokens" if count else "no-op"


def _question(stage: Stage, count: int) -> Callable[[int], bytes]:
    def question(number: int) -> bytes:
        return stage.questions.bearing(token(_FIRST_TOKEN + number * _STRIDE % count), number)

    return question
