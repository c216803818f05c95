"""P11: whether requests notice that 10,000 routes are read, compiled and put in force meanwhile."""

import itertools
import json
import threading
import time
import urllib.request
from typing import Self

from bench.figure import Figure, Progress
from bench.files import SHARED_KEY
from bench.load import Load, wrk
from bench.prove import expect_allow
from bench.stage import NotAsExpected, Part, Stage
from bench.workload import PAIRS, ROUTES, policy

_NAME = "extauthz reload"
_ROUTES = 10_000
_REALMS = ("api", "other")
_RELOAD_SECONDS = 120.0
_AT_LEAST_SECONDS = 10.0
"""Of load for each side of the ratio: a reload takes some of them."""


def measure(stage: Stage, rounds: int, seconds: float, say: Progress) -> list[Figure]:
    """p99 through Envoy, in turns: at rest, and while one reload follows the other."""
    part, port = _start(stage)
    rest, reloading, took = [], [], []
    numbers = itertools.count(1)
    for number in range(1, rounds + 1):
        stage.settle([part])
        rest.append(_load(port, stage, max(seconds, _AT_LEAST_SECONDS)).p99_ms)
        stage.settle([part])
        with _Reloads(stage, part, numbers) as reloads:
            reloading.append(_load(port, stage, max(seconds, _AT_LEAST_SECONDS)).p99_ms)
        took += reloads.took()
        say(
            f"{number}/{rounds}  P11: p99 {rest[-1]:.2f} ms at rest, {reloading[-1]:.2f} ms during"
            f" {len(reloads.took())} reloads"
        )
    part.process.stop()
    return [
        Figure(
            key="P11",
            title=f"p99 through Envoy: while {_ROUTES:,} routes are reloaded over and over / at rest",
            values=[during / quiet for during, quiet in zip(reloading, rest, strict=True)],
            target="<= 2",
        ),
        Figure(key="P11_rest", title="p99 at rest, ms", values=rest),
        Figure(key="P11_reload", title="p99 while reloading, ms", values=reloading),
        Figure(
            key="P11_took",
            title=f"from POST /reload until its answer, with {_ROUTES:,} routes and under load, s",
            values=took,
        ),
    ]


def _start(stage: Stage) -> tuple[Part, int]:
    """An extauthz with all these routes and an Envoy before it; all tokens are in the cache."""
    _, url = stage.start_backends()
    more = {"ops": {"token": {"file": "keys"}}, "reload": {"watch": False}}
    part = stage.start_extauthz(_NAME, url, rules=_rules(0), more=more)
    part.process.wait_for_port(part.port)
    gateway = stage.start_envoy("envoy reload", part)
    expect_allow(gateway)
    port = gateway.port
    warm = wrk(port, stage.script(), 2, pairs=PAIRS)
    if warm.requests == 0:
        raise NotAsExpected("P11: nothing is answered through Envoy")
    return part, port


def _rules(number: int) -> str:
    """Policies that differ, and decide alike."""
    text = policy(numbers=range(ROUTES, ROUTES + _ROUTES))
    return json.dumps({**json.loads(text), "realm": _REALMS[number % len(_REALMS)]})


def _load(port: int, stage: Stage, seconds: float) -> Load:
    load = wrk(port, stage.script(), seconds, pairs=PAIRS)
    if load.wrong:
        raise NotAsExpected(f"P11: {load.wrong} of {load.requests} answers were wrong")
    return load


class _Reloads:
    """Meanwhile, a new policy as soon as the one before is in force."""

    def __init__(self, stage: Stage, part: Part, numbers: "itertools.count[int]") -> None:
        self._stage = stage
        self._numbers = numbers
        self._part = part
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._go_on)
        self._took: list[float] = []
        self._failed = ""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def took(self) -> list[float]:
        """Seconds that each of them took."""
        if self._failed or not self._took:
            raise NotAsExpected(f"P11: no reload: {self._failed}")
        return self._took

    def _go_on(self) -> None:
        while not self._done.is_set() and not self._failed:
            self._stage.write_policy(_NAME, _rules(next(self._numbers)))
            begin = time.perf_counter()
            self._failed = _reload(self._part.ops)
            self._took.append(time.perf_counter() - begin)


def _reload(ops: int) -> str:
    """Ask for one; what is wrong with the answer, if anything is."""
    headers = {"Authorization": f"Bearer {SHARED_KEY}"}
    request = urllib.request.Request(f"http://127.0.0.1:{ops}/reload", method="POST", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=_RELOAD_SECONDS) as answer:  # noqa: S310 - a URL of ours
            said = json.load(answer)
    except OSError as error:
        return str(error)
    return "" if said["result"] == "reloaded" else str(said)
