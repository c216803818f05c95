"""`python -m bench.simulate`: what a million users need, from what the newest results file has measured.

python -m bench.simulate            # prints the tables of docs/scaling.md
python -m bench.simulate --write    # writes them into it
python -m bench.simulate --users 50000 --requests 2000 --ttl 300 --lifetime 900
"""

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.costs import Costs, newest, read_costs
from bench.files import ROOT
from bench.model import Load, Setting, Users, load

PAGE = ROOT / "docs/scaling.md"
BEGIN, END = "<!-- python -m bench.simulate --write -->\n", "<!-- end -->"

GROUPS = ((0.1, 0.7), (0.3, 0.25), (0.6, 0.05))
"""Shares of the users, and of the requests that they send."""

BUSY = 0.6
"""Of a core that is planned with: the rest is for bursts, and for a node that fails."""

CORES = 8
"""Of a node."""

REDIS_COMMANDS = 80_000
"""Short commands per second of one Redis node. Assumed, and not measured here."""

SERVER_CORES = 4
"""Of the authorization server."""

MAX_ENTRIES = 100_000
"""Answers in the memory of a worker, as shipped (`max_entries`)."""

POLLS = 20
"""Commands per second with which a worker follows the log of revocations."""

NEAR = 4
"""Workers of a node that authorizes for its own gateway."""

_MINUTE, _HOUR = 60.0, 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What has to be there for a load.

    Attributes:
        cores: busy with decisions, with questions, and in gateways.
        memory_mib: of one worker.
        limits: share of each limit that is reached, by what it is.
    """

    load: Load
    workers: int
    cores: float
    gateway_cores: float
    memory_mib: float
    redis_commands: float
    limits: dict[str, float]

    @property
    def nodes(self) -> int:
        """For authorizers and gateways."""
        return math.ceil((self.cores + self.gateway_cores) / BUSY / CORES)

    @property
    def first(self) -> str:
        """What breaks first."""
        return max(self.limits, key=lambda name: self.limits[name])


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Who comes, and how tokens are kept."""

    users: float = 1e6
    requests: float = 100_000
    ttl: float = _MINUTE
    lifetime: float = _HOUR
    shared: bool = True
    reach: int | None = None

    def setting(self, workers: int) -> Setting:
        """The same with so many workers."""
        kept = {"ttl": self.ttl, "lifetime": self.lifetime}
        return Setting(**kept, workers=workers, shared=self.shared, reach=self.reach)

    def groups(self) -> list[Users]:
        """All users, in groups."""
        rate = self.requests / self.users
        return [Users(count=self.users * many, rate=rate * much / many) for many, much in GROUPS]


def fleet(case: Case, costs: Costs, gateway: str = "envoy") -> Fleet:
    """As many workers as the load needs, and what they need."""
    workers = _workers(case, costs, gateway)
    found = load(case.groups(), case.setting(workers))
    redis = found.shared_commands + (POLLS * workers if case.shared else 0)
    entries = min(found.entries, MAX_ENTRIES)
    return Fleet(
        load=found,
        workers=workers,
        cores=_cores(found, costs, gateway),
        gateway_cores=found.requests * costs[f"{gateway}_gateway_us"].value / 1e6,
        memory_mib=costs["worker_mib"].value + entries * costs["token_kib"].value / 1024,
        redis_commands=redis,
        limits={
            "authorization server": found.questions * costs["question_us"].value / 1e6 / SERVER_CORES,
            "Redis": redis / REDIS_COMMANDS,
            "`max_entries`": found.entries / MAX_ENTRIES,
        },
    )


def _workers(case: Case, costs: Costs, gateway: str) -> int:
    """More workers ask more, so this takes steps until there are enough: no decision costs more than a question does."""
    workers, needed = 0, 1
    while workers < needed:
        workers = needed
        found = load(case.groups(), case.setting(workers))
        needed = math.ceil(_cores(found, costs, gateway) / BUSY)
    return workers


def _cores(found: Load, costs: Costs, gateway: str) -> float:
    from_redis = max(0.0, costs["shared_us"].value - costs["envoy_us"].value)
    asked = max(0.0, costs["new_us"].value - costs["envoy_us"].value)
    others = found.memory_misses - found.questions
    cached = found.requests * costs[f"{gateway}_us"].value
    return (cached + others * from_redis + found.questions * asked) / 1e6


def page(case: Case, costs: Costs, source: str) -> str:
    """The tables, as Markdown."""
    parts = [
        f"Costs from `{source}`:\n",
        *_table(("cost", "value", ""), _cost_lines(costs)),
        (
            f"\nCalculated for {case.users:,.0f} users, {case.requests:,.0f} requests/s, tokens of {_time(case.lifetime)}"
            f" and a ttl of {_time(case.ttl)} unless a row says otherwise; {_groups()}.\n"
        ),
        "### The ttl\n",
        *_table(_KEPT_HEAD, (_kept_line(_time(ttl), replace(case, ttl=ttl), costs) for ttl in _ttls(case))),
        "\n### The lifetime of tokens\n",
        *_table(
            _KEPT_HEAD, (_kept_line(_time(each), replace(case, lifetime=each), costs) for each in _lifetimes(case))
        ),
        "\n### CPU for each 10,000 requests/s\n",
        *_table(_CPU_HEAD, _cpu_lines(case, costs)),
        "\n### Growth, and what breaks first\n",
        "Requests of a user go to all workers:\n",
        *_table(_GROWTH_HEAD, (_growth_line(each, costs) for each in _growth(case))),
        f"\nRequests of a user go to {NEAR} workers, because something in front keeps a user with a node:\n",
        *_table(_GROWTH_HEAD, (_growth_line(each, costs) for each in _growth(replace(case, reach=NEAR)))),
    ]
    return "\n".join(parts) + "\n"


_KEPT_HEAD = (
    *("", "from memory", "with Redis", "answers at most, average s old", "new tokens/s"),
    *("questions/s without Redis", "with it", "Redis commands/s"),
)
_CPU_HEAD = (
    "gateway",
    "cores of the authorizer, tokens cached",
    "cores with this load's new answers",
    "cores of the gateway",
)
_GROWTH_HEAD = (
    *("requests/s", "workers", "nodes with gateways", "MiB, a worker", "questions/s without Redis", "with it"),
    *("Redis commands/s", "nearest to its limit"),
)


def _table(head: Sequence[str], lines: Iterator[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *lines)]


def _cost_lines(costs: Costs) -> Iterator[Sequence[str]]:
    for each in costs.values():
        yield each.title, f"{each.value:,.1f}", "" if each.measured else "not in that file: assumed"
    yield "share of a core that is planned with", f"{BUSY:.0%}", "chosen"
    yield f"cores of a node; of the authorization server {SERVER_CORES}", f"{CORES}", "chosen"
    yield "commands per second of a Redis node", f"{REDIS_COMMANDS:,}", "assumed"


def _groups() -> str:
    return "; ".join(f"{many:.0%} of the users send {much:.0%} of the requests" for many, much in GROUPS)


def _ttls(case: Case) -> list[float]:
    return [10.0, 30.0, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, case.lifetime]


def _lifetimes(case: Case) -> list[float]:
    return [each for each in (5 * _MINUTE, 15 * _MINUTE, _HOUR, 8 * _HOUR) if each >= case.ttl]


def _growth(case: Case) -> list[Case]:
    return [replace(case, requests=case.requests * factor) for factor in (0.01, 0.1, 1, 10)]


def _kept_line(name: str, case: Case, costs: Costs) -> Sequence[str]:
    shared = fleet(case, costs)
    found = shared.load
    return (
        name,
        f"{found.memory_hit_rate:.1%}",
        f"{found.hit_rate:.1%}",
        f"{found.staleness:,.0f}, {found.mean_age:,.0f}",
        f"{found.churn:,.0f}",
        f"{_alone(case, shared.workers).questions:,.0f}",
        f"{found.questions:,.0f}",
        f"{shared.redis_commands:,.0f}",
    )


def _cpu_lines(case: Case, costs: Costs) -> Iterator[Sequence[str]]:
    part = replace(case, users=case.users * 10_000 / case.requests, requests=10_000.0)
    for gateway, name in {"envoy": "Envoy, gRPC", "nginx": "NGINX"}.items():
        found = fleet(part, costs, gateway)
        cells = (0.01 * costs[f"{gateway}_us"].value, found.cores, found.gateway_cores)
        yield name, *(f"{cell:.2f}" for cell in cells)
    edge = (0.01 * costs[name].value for name in ("edge_us", "edge_gateway_us"))
    authorizer, itself = (f"{cell:.2f}" for cell in edge)
    yield "NGINX, all of it from its edge cache", authorizer, "as above for what does not repeat", itself


def _growth_line(case: Case, costs: Costs) -> Sequence[str]:
    shared = fleet(case, costs)
    return (
        f"{case.requests:,.0f}",
        f"{shared.workers}",
        f"{shared.nodes}",
        f"{shared.memory_mib:,.0f}",
        f"{_alone(case, shared.workers).questions:,.0f}",
        f"{shared.load.questions:,.0f}",
        f"{shared.redis_commands:,.0f}",
        f"{shared.first} ({shared.limits[shared.first]:.0%})",
    )


def _alone(case: Case, workers: int) -> Load:
    """As many workers without a Redis."""
    return load(case.groups(), replace(case, shared=False).setting(workers))


def _time(seconds: float) -> str:
    for unit, name in ((_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:g} s"


def with_tables(text: str, tables: str) -> str:
    """The page with these tables in their place.

    Raises:
        ValueError: when the page has no place for them.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} has no lines {BEGIN.strip()} and {END}")
    return f"{head}{begin}\n{tables}\n{end}{tail}"


def tables_of(file: Path, case: Case) -> str:
    """The tables, with the costs of a results file."""
    costs = read_costs(json.loads(file.read_text(encoding="utf-8")))
    return page(case, costs, f"bench/results/{file.name}")


def write_page() -> None:
    """Write the tables of the newest results into the page."""
    text = with_tables(PAGE.read_text(encoding="utf-8"), tables_of(newest(), Case()))
    PAGE.write_text(text, encoding="utf-8")


def main() -> None:
    """Print, or write the page."""
    usual = Case()
    parser = argparse.ArgumentParser(prog="python -m bench.simulate", description="What a million users need.")
    parser.add_argument("--write", action="store_true", help="write docs/scaling.md; the other options have no effect")
    parser.add_argument("--results", type=Path, help="a results file; the newest one unless named")
    parser.add_argument("--users", type=float, default=usual.users)
    parser.add_argument("--requests", type=float, default=usual.requests, help="per second, of all users together")
    parser.add_argument("--ttl", type=float, default=usual.ttl, help="seconds")
    parser.add_argument("--lifetime", type=float, default=usual.lifetime, help="of a token, in seconds")
    options = parser.parse_args()
    if options.write:
        write_page()
        return
    case = Case(users=options.users, requests=options.requests, ttl=options.ttl, lifetime=options.lifetime)
    print(tables_of(options.results or newest(), case), end="")


if __name__ == "__main__":
    main()
