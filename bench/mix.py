"""P8: whether tokens in the cache wait for those that are not."""

import itertools
from collections.abc import Callable

from bench.figure import Figure, Progress
from bench.load import percentile
from bench.stage import NotAsExpected, Part, Stage
from bench.walk import record, walk
from bench.workload import TOKENS, inactive_token, token

_SERVER_MS = 5
_FIRST_TOKEN = 4_000_000
_OF = 100
_NEW = range(95, 99)
_INACTIVE = range(99, 100)


def measure(stage: Stage, rounds: int, seconds: float, say: Progress) -> list[Figure]:
    """p99 of the hot ones, in turns with a load of nothing else."""
    server = stage.start_server()
    part = stage.start_extauthz("extauthz mix", server.url(_SERVER_MS))
    part.process.wait_for_port(part.port)
    walk(part.port, stage.questions, 0, at_least=TOKENS)
    numbers = itertools.count(_FIRST_TOKEN)
    hot, mixed = [], []
    for number in range(1, rounds + 1):
        stage.settle([part])
        hot.append(_all_hot(part, stage, seconds))
        stage.settle([part])
        mixed.append(_hot_among_others(part, stage, numbers, seconds))
        say(f"{number}/{rounds}  P8: p99 of cached tokens {hot[-1]:.2f} ms alone, {mixed[-1]:.2f} ms among others")
    part.process.stop()
    title = f"p99 of cached tokens: with 4 % new and 1 % inactive ones (server at {_SERVER_MS} ms) / alone"
    return [
        Figure(
            key="P8",
            title=title,
            values=[among / alone for among, alone in zip(mixed, hot, strict=True)],
            target="<= 2",
        ),
        Figure(key="P8_hot", title="p99 of cached tokens alone, ms", values=hot),
        Figure(key="P8_mixed", title="p99 of cached tokens among others, ms", values=mixed),
    ]


def _all_hot(part: Part, stage: Stage, seconds: float) -> float:
    load = walk(part.port, stage.questions, seconds)
    if load.wrong:
        raise NotAsExpected(f"P8: {load.wrong} of {load.requests} answers were wrong")
    return load.p99_ms


def _hot_among_others(part: Part, stage: Stage, numbers: "itertools.count[int]", seconds: float) -> float:
    walked = record(part.port, _question(stage, numbers), seconds)
    inactive = sum(number % _OF in _INACTIVE for number, _ in walked.waits)
    if walked.allowed != len(walked.waits) - inactive:
        raise NotAsExpected(f"P8: {walked.allowed} allowed of {len(walked.waits)} with {inactive} inactive ones")
    hot = sorted(wait for number, wait in walked.waits if number % _OF < _NEW.start)
    return percentile(hot, 99) * 1e3


def _question(stage: Stage, numbers: "itertools.count[int]") -> Callable[[int], bytes]:
    def question(number: int) -> bytes:
        match number % _OF:
            case place if place in _NEW:
                return stage.questions.bearing(token(next(numbers)), number)
            case place if place in _INACTIVE:
                return stage.questions.bearing(inactive_token(next(numbers)), number)
            case _:
                return stage.questions(number)

    return question
