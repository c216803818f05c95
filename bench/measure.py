"""The rows of the table: which load goes to which part, and whose CPU it is counted against.

Systems that are compared take turns (A B C A B C ...), so that a machine that slows down slows all of them down.
"""

import contextlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from bench import peers
from bench.cast import ALL_DIALECTS
from bench.load import Load, h2load, wrk
from bench.pinning import pinned
from bench.stage import START_SECONDS, Decisions, NotAsExpected, Part, Stage
from bench.walk import walk
from bench.workload import EDGE_PAIRS, PAIRS, TOKENS

PEER_CONNECTIONS = 64
"""More than elsewhere, as figures published by others are usually taken."""

FEW = 8
"""Questions that h2load repeats."""

_FILL_SECONDS = (1, 3, 9, 27)


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One row.

    Attributes:
        section: what it is compared within.
        load: runs the load generator for so many seconds.
        authorizer: the part that answers the question, if any.
        gateway: the part that asks it, if any.
        prepare: brings caches into their steady state before each round.
        pinned: whether both parts share one core, which the load generator leaves to them.
        cached: whether the gateway answers from its own cache, so that the authorizer sees less than all.
    """

    section: str
    name: str
    load: Callable[[float], Load]
    authorizer: Part | None
    gateway: Part | None = None
    prepare: Callable[[], None] = lambda: None
    cached: bool = False
    pinned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One round of one system. CPU is microseconds for each request, memory that at its end; None for no part.

    Attributes:
        rate: requests per second.
        unrecorded: decisions that the audit log had to drop.
        asked: share of requests for which the authorizer was asked; None where it does not count them.
    """

    requests: int
    rate: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    authorizer_us: float | None
    gateway_us: float | None
    authorizer_mib: float | None
    gateway_mib: float | None
    unrecorded: int
    asked: float | None


def systems(stage: Stage, sections: Collection[str]) -> list[System]:
    """The rows of these sections, in the order in which they take turns. Their parts are started, and not awaited."""
    return [row for section, rows in ROWS.items() if section in sections for row in rows(stage)]


_GRPC_SERVERS = {
    "no-op, h2corn": "h2corn",
    "extauthz, h2corn": "extauthz",
    "no-op, grpcio": "grpcio",
    "extauthz, grpcio": "extauthz grpcio",
}


def _grpc(stage: Stage) -> Iterator[System]:
    for name, part in _GRPC_SERVERS.items():
        yield _walked(stage, "gRPC", name, part)


def _grpc_few(stage: Stage) -> Iterator[System]:
    messages = [stage.questions(number * (TOKENS + 7) // FEW) for number in range(FEW)]
    for name, part in _GRPC_SERVERS.items():
        port = stage[part].port
        stage[part].process.wait_for_port(port, START_SECONDS)
        if walk(port, lambda number: messages[number % FEW], 0).wrong:
            raise NotAsExpected(f"{name}: refuses one of the {FEW} questions that h2load will send")
        yield System(
            section="gRPC, few",
            name=name,
            load=lambda seconds, port=port: h2load(port, messages, seconds),  # type: ignore[misc] # bound now
            authorizer=stage[part],
        )


def _envoy(stage: Stage) -> Iterator[System]:
    for name, gateway, part in (
        ("no-op", "envoy no-op", "h2corn"),
        ("extauthz", "envoy extauthz", "extauthz"),
        ("no check", "envoy alone", ""),
    ):
        yield _http(stage, "Envoy", name, gateway, part)


def _nginx(stage: Stage) -> Iterator[System]:
    for name, gateway, part in (
        ("no-op", "nginx no-op", "asgi"),
        ("extauthz", "nginx extauthz", "extauthz"),
        ("return 200", "nginx return 200", "return 200"),
        ("edge cache", "nginx edge", "extauthz edge"),
    ):
        yield _http(stage, "NGINX", name, gateway, part)


def _dialects(stage: Stage) -> Iterator[System]:
    """Wrk straight at the listener, each time with the question of another gateway."""
    yield _direct(stage, "HTTP", "no-op", "asgi", "nginx")
    for dialect in ALL_DIALECTS:
        yield _direct(stage, "HTTP", f"extauthz, {dialect}", "extauthz dialects", dialect)


def _workers(stage: Stage) -> Iterator[System]:
    yield _direct(stage, "workers", "no-op, 1 worker", "asgi", "nginx")
    yield _direct(stage, "workers", "extauthz, 1 worker", "extauthz", "nginx")
    yield _direct(stage, "workers", "extauthz, 2 workers", "extauthz 2 workers", "nginx")


def _options(stage: Stage) -> Iterator[System]:
    for name, part in (
        ("no-op", "h2corn"),
        ("extauthz, as shipped", "extauthz"),
        ("extauthz, audit off", "extauthz no audit"),
        ("extauthz, with Redis", "extauthz redis"),
    ):
        yield _walked(stage, "options", name, part)


def _peers(stage: Stage) -> Iterator[System]:
    """What extauthz is behind each gateway, and other programs that do its work, under the same load."""
    yield _pinned(stage, "NGINX, return 200", stage["nginx return 200"], stage["return 200"])
    yield _pinned(stage, "NGINX, no-op", stage["nginx no-op"], stage["asgi"])
    yield _pinned(stage, "NGINX, extauthz", stage["nginx extauthz"], stage["extauthz"])
    yield _pinned(stage, "Envoy, no-op", stage["envoy no-op"], stage["h2corn"])
    yield _pinned(stage, "Envoy, extauthz", stage["envoy extauthz"], stage["extauthz"])
    for peer in peers.installed():
        yield _pinned(stage, peer.name, peer.start(stage), None)


def _pinned(stage: Stage, name: str, gateway: Part, authorizer: Part | None) -> System:
    load = partial(wrk, gateway.port, stage.script(), pairs=PAIRS, connections=PEER_CONNECTIONS)
    prepare = partial(_fill, stage, name, gateway.port, TOKENS)
    return System(
        section="peers", name=name, load=load, authorizer=authorizer, gateway=gateway, prepare=prepare, pinned=True
    )


def _walked(stage: Stage, section: str, name: str, part: str) -> System:
    """Asked by our own gRPC client."""
    authorizer = stage[part]
    return System(
        section=section,
        name=name,
        load=lambda seconds: walk(authorizer.port, stage.questions, seconds),
        authorizer=authorizer,
    )


def _direct(stage: Stage, section: str, name: str, part: str, way: str) -> System:
    """Asked by wrk without a gateway."""
    authorizer, script = stage[part], stage.script(way)
    return System(
        section=section,
        name=name,
        load=lambda seconds: wrk(authorizer.port, script, seconds, pairs=PAIRS),
        authorizer=authorizer,
    )


def _http(stage: Stage, section: str, name: str, gateway: str, part: str) -> System:
    port, script = stage[gateway].port, stage.script()
    cached = name == "edge cache"
    pairs = EDGE_PAIRS if cached else PAIRS
    return System(
        section=section,
        name=name,
        load=lambda seconds: wrk(port, script, seconds, pairs=pairs),
        authorizer=stage[part] if part else None,
        gateway=stage[gateway],
        prepare=(lambda: _fill(stage, name, port, EDGE_PAIRS)) if cached else lambda: None,
        cached=cached,
    )


def _fill(stage: Stage, name: str, port: int, pairs: int) -> None:
    """Walk until one run comes all the way round so many pairs: the row is about answers that are there."""
    for seconds in _FILL_SECONDS:
        load = wrk(port, stage.script(), seconds, pairs=pairs)
        if load.wrong:
            raise NotAsExpected(f"{name}: {load.wrong} wrong answers while its cache was filled")
        if load.requests >= pairs:
            return
    raise NotAsExpected(f"{name}: {pairs:,} requests take longer than {_FILL_SECONDS[-1]} s here")


ROWS: Mapping[str, Callable[[Stage], Iterator[System]]] = {
    "gRPC": _grpc,
    "gRPC, few": _grpc_few,
    "Envoy": _envoy,
    "NGINX": _nginx,
    "HTTP": _dialects,
    "workers": _workers,
    "options": _options,
    "peers": _peers,
}
"""Who makes the rows of each section."""


def measure(system: System, stage: Stage, seconds: float) -> Sample:
    """One round.

    Raises:
        NotAsExpected: when an answer was not an allow, or was never given.
    """
    authorizer, gateway = system.authorizer, system.gateway
    parts = [part for part in (authorizer, gateway) if part is not None]
    system.prepare()
    stage.settle(parts)
    counted = authorizer if authorizer is not None and authorizer.ops and authorizer.workers == 1 else None
    decisions = counted.decisions() if counted is not None else None
    before = (_cpu(authorizer), _cpu(gateway))
    with pinned(parts) if system.pinned else contextlib.nullcontext():
        load = system.load(seconds)
    stage.settle(parts)
    authorizer_us, gateway_us = (
        None if then is None or now is None else (now - then) * 1e6 / max(1, load.requests)
        for then, now in zip(before, (_cpu(authorizer), _cpu(gateway)), strict=True)
    )
    title = f"{system.section}: {system.name}"
    if load.wrong or not load.requests:
        raise NotAsExpected(f"{title}: {load.wrong} of {load.requests} answers were wrong")
    asked, unrecorded = None, 0
    if counted is not None and decisions is not None:
        more = counted.decisions() - decisions
        _check_counts(title, load, more, cached=system.cached)
        asked, unrecorded = more.allowed / load.requests, more.unrecorded
    return Sample(
        requests=load.requests,
        rate=load.requests / load.seconds,
        p50_ms=load.p50_ms,
        p99_ms=load.p99_ms,
        p999_ms=load.p999_ms,
        authorizer_us=authorizer_us,
        gateway_us=gateway_us,
        authorizer_mib=_mib(authorizer),
        gateway_mib=_mib(gateway),
        unrecorded=unrecorded,
        asked=asked,
    )


def _check_counts(title: str, load: Load, counted: Decisions, *, cached: bool) -> None:
    """What extauthz counted must be what the load generator saw."""
    cut_off = PEER_CONNECTIONS * 16  # the load generators leave calls in flight when their time is over
    too_few = counted.allowed < load.requests and not cached
    if counted.denied or too_few or counted.allowed > load.requests + cut_off:
        raise NotAsExpected(
            f"{title}: {load.requests} answers, but extauthz allowed {counted.allowed} and denied {counted.denied}"
        )


def _cpu(part: Part | None) -> float | None:
    return None if part is None else part.cpu_seconds()


def _mib(part: Part | None) -> float | None:
    return None if part is None else part.memory_mib()
