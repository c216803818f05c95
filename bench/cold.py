"""P4: tokens that were never seen. How many a worker asks about in a second, and what it adds to the server's own time."""

import itertools
import socket
import statistics
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from bench.figure import Figure, Progress
from bench.stage import NotAsExpected, Part, Stage
from bench.walk import record, walk
from bench.workload import token

_FIRST_TOKEN = 1_000_000
_WARM_UP = 2_000
_ONE_BY_ONE = 500
_FORM = "token={}&token_type_hint=access_token"


def measure(stage: Stage, rounds: int, seconds: float, say: Progress) -> list[Figure]:
    """Take turns: as many as it can, one at a time, and one at a time straight to the server.

    The latencies are of the same load: one connection, one question in flight, each with a new token.
    """
    _, url = stage.start_backends()
    part = stage.start_extauthz("extauthz cold", url)
    part.process.wait_for_port(part.port)
    numbers = itertools.count(_FIRST_TOKEN)
    walk(part.port, _new_token(stage, numbers), 0, at_least=_WARM_UP)
    rates, costs, added = [], [], []
    for number in range(1, rounds + 1):
        rate, cost = _throughput(part, stage, numbers, seconds)
        through, straight = _one_by_one(part, stage, numbers), _straight(url, numbers)
        rates.append(rate)
        costs.append(cost)
        added.append(through - straight)
        say(
            f"{number}/{rounds}  P4: {rate:,.0f} new tokens/s at {cost:.0f} µs; {through:.2f} ms, {straight:.2f} without"
        )
    part.process.stop()
    return [
        Figure(
            key="P4a",
            title="never-seen tokens per second and worker, server at 0 ms",
            values=rates,
            target=">= 3000",
            digits=0,
        ),
        Figure(key="P4b", title="latency added to the server's own, p50, ms", values=added, target="<= 1"),
        Figure(key="P4_cpu", title="CPU of a decision about a never-seen token, µs", values=costs, digits=0),
    ]


def _new_token(stage: Stage, numbers: "itertools.count[int]") -> Callable[[int], bytes]:
    return lambda number: stage.questions.bearing(token(next(numbers)), number)


def _throughput(part: Part, stage: Stage, numbers: "itertools.count[int]", seconds: float) -> tuple[float, float]:
    """Tokens per second, and CPU µs for each."""
    stage.settle([part])
    before = part.cpu_seconds()
    load = walk(part.port, _new_token(stage, numbers), seconds)
    stage.settle([part])
    if load.wrong:
        raise NotAsExpected(f"P4: {load.wrong} of {load.requests} new tokens were refused")
    return load.requests / load.seconds, (part.cpu_seconds() - before) * 1e6 / load.requests


def _one_by_one(part: Part, stage: Stage, numbers: "itertools.count[int]") -> float:
    """Milliseconds, p50."""
    walked = record(part.port, _new_token(stage, numbers), 0, at_least=_ONE_BY_ONE, in_flight=1)
    if walked.allowed < len(walked.waits):
        raise NotAsExpected("P4: a new token was refused")
    return statistics.median(wait for _, wait in walked.waits) * 1e3


def _straight(url: str, numbers: "itertools.count[int]") -> float:
    """The same questions to the authorization server itself. Milliseconds, p50."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    waits = []
    with socket.create_connection((parts.hostname, parts.port or 80), timeout=5) as connection:
        for _ in range(_ONE_BY_ONE):
            form = _FORM.format(token(next(numbers)))
            head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(form)}\r\n\r\n"
            begin = time.perf_counter()
            connection.sendall((head + form).encode())
            answer = connection.recv(65_536)
            waits.append(time.perf_counter() - begin)
            if b'"active": true' not in answer:  # small enough to arrive in one piece
                raise NotAsExpected(f"P4: the authorization server says {answer[:100]!r}")
    return statistics.median(waits) * 1e3
