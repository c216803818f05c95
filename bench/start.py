"""P9: how long a worker takes from its start until it is ready."""

import http.client
import time

from bench.figure import Figure, Progress
from bench.stage import NotAsExpected, Part, Stage
from bench.workload import ROUTES, policy

_ROUTES = 1_000
_FIRST_NUMBER = 1_000
_AT_LEAST = 5
_LOOK_SECONDS = 0.005
_LIMIT_SECONDS = 20.0
_OK = 200


def measure(stage: Stage, rounds: int, _seconds: float, say: Progress) -> list[Figure]:
    """Start, look until `/readyz` says yes, stop; in turns with a policy of the usual size."""
    _, url = stage.start_backends()
    rules = {routes: policy(numbers=range(_FIRST_NUMBER, _FIRST_NUMBER + routes)) for routes in (ROUTES, _ROUTES)}
    took: dict[int, list[float]] = {routes: [] for routes in rules}
    for number in range(max(rounds, _AT_LEAST)):
        for routes, text in rules.items():
            begin = time.perf_counter()
            part = stage.start_extauthz(f"extauthz start {routes} {number}", url, rules=text)
            took[routes].append(_ready(part) - begin)
            part.process.stop()
        say("P9: " + ", ".join(f"{each[-1]:.2f} s with {routes:,} routes" for routes, each in took.items()))
    return [
        Figure(key="P9", title=f"start to ready with {_ROUTES:,} routes, s", values=took[_ROUTES], target="<= 1"),
        Figure(key="P9_usual", title=f"start to ready with {ROUTES} routes, s", values=took[ROUTES]),
    ]


def _ready(part: Part) -> float:
    """The moment at which it says so."""
    end = time.perf_counter() + _LIMIT_SECONDS
    while (now := time.perf_counter()) < end and part.process.running:
        if _says_ready(part.ops):
            return time.perf_counter()
        time.sleep(_LOOK_SECONDS)
    raise NotAsExpected(f"P9: not ready after {now - end + _LIMIT_SECONDS:.1f} s\n{part.process.output()}")


def _says_ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == _OK
    except OSError:
        return False
    finally:
        connection.close()
