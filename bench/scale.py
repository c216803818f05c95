"""P6: what a decision costs with many routes, against few, and against the no-op in the same run."""

from collections.abc import Callable

from bench.figure import Figure, Progress
from bench.prove import fill
from bench.questions import Template
from bench.stage import Part, Stage
from bench.walk_cost import walk_cost
from bench.workload import TOKENS, policy, token

_FEW, _MANY = 10, 10_000
_ROUTES = (_FEW, 100, 1_000, _MANY)
_NO_OP = 0
_FIRST_NUMBER = 10_000
"""Numbers in paths begin here, so that all paths are as long."""

_STRIDE = 7_919
"""A prime: from one question to the next the walk goes so many pairs on, and comes to each of them."""

_PAIRS = TOKENS * _FEW
"""Pairs of a token and a route, in either walk: with more of them on one side, what remembers pairs would be measured."""


def measure(stage: Stage, rounds: int, seconds: float, say: Progress) -> list[Figure]:
    """CPU for each decision, in turns."""
    floor = stage.start_floor("h2corn", "no-op for routes")
    floor.process.wait_for_port(floor.port)
    parts = {_NO_OP: floor} | {routes: _start(stage, routes) for routes in _ROUTES}
    costs: dict[int, list[float]] = {routes: [] for routes in parts}
    for number in range(1, rounds + 1):
        for routes, part in parts.items():
            _, cost = walk_cost(stage, part, _question(routes or _FEW), seconds, f"P6, {_name(routes)}")
            costs[routes].append(cost)
        say(f"{number}/{rounds}  P6: " + ", ".join(f"{_name(n)} {each[-1]:.1f} µs" for n, each in costs.items()))
    for part in parts.values():
        part.process.stop()
    ratios = [many / few for many, few in zip(costs[_MANY], costs[_FEW], strict=True)]
    title = f"CPU of a gRPC decision: {_MANY:,} routes / {_FEW} routes"
    return [
        Figure(key="P6", title=title, values=ratios, target="<= 1.1"),
        *(
            Figure(key=f"P6_{routes}", title=f"CPU of a gRPC decision, {_name(routes)}, µs", values=each, digits=1)
            for routes, each in costs.items()
        ),
    ]


def _name(routes: int) -> str:
    return f"{routes:,} routes" if routes else "no-op"


def _start(stage: Stage, routes: int) -> Part:
    _, url = stage.start_backends()
    rules = policy(numbers=range(_FIRST_NUMBER, _FIRST_NUMBER + routes))
    part = stage.start_extauthz(f"extauthz {routes} routes", url, rules=rules)
    part.process.wait_for_port(part.port)
    fill(part, _question(routes), _PAIRS)
    return part


def _question(routes: int) -> Callable[[int], bytes]:
    """The walk: all tokens, and all routes."""
    tokens = [token(index).encode() for index in range(TOKENS)]
    template = Template(_path(0, 0).decode())

    def question(number: int) -> bytes:
        place = number * _STRIDE % _PAIRS
        token_index = place // _FEW
        return template(_path(place % routes, token_index), tokens[token_index])

    return question


def _path(route: int, item: int) -> bytes:
    return b"/r%d/items/%04d" % (_FIRST_NUMBER + route, item)
