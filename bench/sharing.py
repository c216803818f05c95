"""What an answer from Redis costs: one process has asked about the tokens, the other one reads what it learnt.

The floor of it is the same token from memory, and its ceiling is a token about which the server has to be asked; both
are measured at the same two processes.
"""

import itertools
from collections.abc import Callable

from bench.figure import Figure, Progress
from bench.stage import NotAsExpected, Part, Stage
from bench.walk import walk
from bench.workload import token

_FIRST_TOKEN = 6_000_000
_TOKENS_A_ROUND = 1_000
_WHO = {
    "ask": "a never-seen token, kept in Redis as well",
    "redis": "a token that another process has asked about",
    "memory": "the same token again",
}


def measure(stage: Stage, rounds: int, _seconds: float, say: Progress) -> list[Figure]:
    """So many new tokens in each round: the first process asks, the second one reads them, and then has them."""
    server, redis = stage.start_server(), stage.start_redis()
    shared = {"shared_cache": {"redis": f"redis://127.0.0.1:{redis}/0", "keys": {"file": "keys"}}}
    first, second = (stage.start_extauthz(f"extauthz {each} of two", server.url(0), more=shared) for each in (1, 2))
    for part in (first, second):
        part.process.wait_for_http(f"http://127.0.0.1:{part.ops}/readyz")
    numbers = itertools.count(_FIRST_TOKEN, _TOKENS_A_ROUND)
    costs: dict[str, list[tuple[float, float]]] = {who: [] for who in _WHO}
    shares: list[float] = []
    _turn(stage, (first, second), next(numbers))  # what is made when it is first needed
    for number in range(1, rounds + 1):
        before = server.asked()
        for who, cost in _turn(stage, (first, second), next(numbers)).items():
            costs[who].append(cost)
        shares.append(2 - (server.asked() - before) / _TOKENS_A_ROUND)
        say(f"{number}/{rounds}  redis: " + ", ".join(f"{who} {each[-1][0]:.0f} µs" for who, each in costs.items()))
    for part in (first, second):
        part.process.stop()
    title = "share of those tokens that were in Redis; the others were too late for it, and asked about again"
    return [*_figures(costs), Figure(key="redis_share", title=title, values=shares)]


def _turn(stage: Stage, parts: tuple[Part, Part], number: int) -> dict[str, tuple[float, float]]:
    first, second = parts
    question = _question(stage, number)
    return {who: _cost(stage, part, question) for who, part in (("ask", first), ("redis", second), ("memory", second))}


def _question(stage: Stage, first: int) -> Callable[[int], bytes]:
    return lambda number: stage.questions.bearing(token(first + number % _TOKENS_A_ROUND), number)


def _cost(stage: Stage, part: Part, question: Callable[[int], bytes]) -> tuple[float, float]:
    """CPU µs for each, of the process and of Redis, which does the same work for the polls of both in all turns."""
    redis = stage.running["redis"]
    stage.settle([part])
    before = part.cpu_seconds(), redis.cpu_seconds()
    load = walk(part.port, question, 0, at_least=_TOKENS_A_ROUND)
    stage.settle([part])
    if load.wrong:
        raise NotAsExpected(f"redis: {load.wrong} of {load.requests} answers were wrong")
    spent = part.cpu_seconds() - before[0], redis.cpu_seconds() - before[1]
    return spent[0] * 1e6 / load.requests, spent[1] * 1e6 / load.requests


def _figures(costs: dict[str, list[tuple[float, float]]]) -> list[Figure]:
    own = [
        Figure(
            key=_key(who), title=f"CPU of a decision, {title}, µs", values=[cost for cost, _ in costs[who]], digits=0
        )
        for who, title in _WHO.items()
    ]
    redis = [cost for _, cost in costs["redis"]]
    return [*own, Figure(key="redis_itself", title="CPU of Redis for a token that is read, µs", values=redis, digits=0)]


def _key(who: str) -> str:
    return "redis_cpu" if who == "redis" else f"redis_{who}_cpu"
