"""P4: tokens that were never seen. How many a worker asks about in a second, and what it adds to the server's own time."""

import itertools
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from bench.figure import Figure, Progress
from bench.files import ROOT
from bench.stage import NotAsExpected, Part, Stage
from bench.walk import record, walk
from bench.walk_cost import walk_cost
from bench.workload import token

_FIRST_TOKEN = 1_000_000
_WARM_UP = 1_000
_ONE_BY_ONE = 500
_SLOW_MS = 5
_FORM = "token={}&token_type_hint=access_token"


def measure(stage: Stage, rounds: int, seconds: float, say: Progress) -> list[Figure]:
    """With a server at 0 ms, which the targets are about, and at 5 ms."""
    numbers = itertools.count(_FIRST_TOKEN)
    _, url = stage.start_backends()
    fast = _Turns(stage, url, "0 ms", numbers)
    slow = _Turns(stage, stage.start_server().url(_SLOW_MS), f"{_SLOW_MS} ms", numbers)
    bare: list[float] = []
    for number in range(1, rounds + 1):
        for each in (fast, slow):
            say(f"{number}/{rounds}  P4: {each.take(seconds)}")
        bare.append(_bare(url, seconds))
        say(f"{number}/{rounds}  P4: aiohttp alone asks {bare[-1]:,.0f}/s")
    for each in (fast, slow):
        each.part.process.stop()
    rate = "never-seen tokens per second and worker, server at"
    added = "latency added to the server's own, p50, ms"
    return [
        Figure(key="P4a", title=f"{rate} 0 ms", values=fast.rates, target=">= 3000", digits=0),
        Figure(key="P4b", title=added, values=fast.added, target="<= 1"),
        Figure(key="P4_cpu", title="CPU of a decision about a never-seen token, µs", values=fast.costs, digits=0),
        Figure(key="P4_bare", title="questions per second of aiohttp alone, server at 0 ms", values=bare, digits=0),
        Figure(
            key="P4_share",
            title="never-seen tokens / questions of aiohttp alone",
            values=[ours / theirs for ours, theirs in zip(fast.rates, bare, strict=True)],
        ),
        Figure(key="P4_slow", title=f"{rate} {_SLOW_MS} ms", values=slow.rates, digits=0),
        Figure(key="P4_slow_added", title=f"there, {added}", values=slow.added),
        Figure(key="P4_floor", title="the server at 0 ms itself, one question at a time, p50, ms", values=fast.floors),
        Figure(key="P4_slow_floor", title=f"the server at {_SLOW_MS} ms itself, likewise", values=slow.floors),
    ]


class _Turns:
    """As many as it can, one at a time, and one at a time straight to the server, which is the floor.

    The latencies are of the same load: one connection, one question in flight, each with a new token.
    """

    def __init__(self, stage: Stage, url: str, name: str, numbers: "itertools.count[int]") -> None:
        self._stage, self._url, self._name, self._numbers = stage, url, name, numbers
        self.rates: list[float] = []
        self.costs: list[float] = []
        self.added: list[float] = []
        self.floors: list[float] = []
        self.part = stage.start_extauthz(f"extauthz cold {name}", url)
        self.part.process.wait_for_port(self.part.port)
        walk(self.part.port, _new_token(stage, numbers), 0, at_least=_WARM_UP)

    def take(self, seconds: float) -> str:
        """One round; what it found."""
        rate, cost = _throughput(self.part, self._stage, self._numbers, seconds)
        through, straight = _one_by_one(self.part, self._stage, self._numbers), _straight(self._url, self._numbers)
        self.rates.append(rate)
        self.costs.append(cost)
        self.added.append(through - straight)
        self.floors.append(straight)
        return (
            f"server at {self._name}: {rate:,.0f} new tokens/s at {cost:.0f} µs;"
            f" {through:.2f} ms, {straight:.2f} without"
        )


def _bare(url: str, seconds: float) -> float:
    """Questions per second of a client with nothing around it."""
    command = [sys.executable, "-m", "bench.bare_client", url, str(seconds)]
    return float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=30 + seconds).stdout)


def _new_token(stage: Stage, numbers: "itertools.count[int]") -> Callable[[int], bytes]:
    return lambda number: stage.questions.bearing(token(next(numbers)), number)


def _throughput(part: Part, stage: Stage, numbers: "itertools.count[int]", seconds: float) -> tuple[float, float]:
    """Tokens per second, and CPU µs for each."""
    load, cost = walk_cost(stage, part, _new_token(stage, numbers), seconds, "P4")
    return load.requests / load.seconds, cost


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
