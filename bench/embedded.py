"""The embedded authorization server: introspections of one worker, with ten times many tokens stored, beside a no-op."""

import tempfile
from pathlib import Path

from bench import authserver
from bench.figure import Figure, Progress
from bench.load import run_wrk
from bench.stage import NotAsExpected, Part, Stage

_TARGETS = {"sqlite": ">= 5000", "postgresql": ">= 3000"}
_TOKENS_FOR_ONE = 10


def measure(stage: Stage, rounds: int, seconds: float, say: Progress) -> list[Figure]:
    """Each kind of storage by itself, because to fill it takes most of the time; a round of the no-op after each."""
    floor = stage.start_floor("asgi", "no-op for introspection")
    floor.process.wait_for_port(floor.port)
    tokens, figures, floors = _TOKENS_FOR_ONE * stage.many, [], []
    for kind, target in _TARGETS.items():
        rates, costs, tails, memory = [], [], [], []
        with tempfile.TemporaryDirectory(prefix="extauthz-bench-", dir=stage.folder) as name:
            for load, before, after in authserver.run(kind, Path(name), tokens=tokens, seconds=seconds, rounds=rounds):
                if load.wrong:
                    raise NotAsExpected(f"authserver: {load.wrong} of {load.requests} answers were wrong")
                rates.append(load.requests / load.seconds)
                costs.append((after.cpu_seconds - before.cpu_seconds) * 1e6 / load.requests)
                tails.append(load.p99_ms)
                memory.append(after.resident_mib - before.resident_mib)
                floors.append(_floor(floor, Path(name) / "walk.lua", seconds))
                say(f"authserver: {kind} {rates[-1]:,.0f}/s at {costs[-1]:.0f} µs; no-op {floors[-1]:,.0f}/s")
        title = f"introspections/s of the embedded server, {tokens:,} tokens in {kind}"
        figures += [
            Figure(key=f"AS_{kind}", title=title, values=rates, target=target, digits=0),
            Figure(key=f"AS_{kind}_cpu", title="CPU of each of them, µs", values=costs, digits=0),
            Figure(key=f"AS_{kind}_p99", title="their p99 with 16 calls in flight, ms", values=tails),
            Figure(
                key=f"AS_{kind}_memory", title="memory that the server gained in a round of them, MiB", values=memory
            ),
        ]
    floor.process.stop()
    return [*figures, Figure(key="AS_floor", title="the same load at a no-op, requests/s", values=floors, digits=0)]


def _floor(floor: Part, script: Path, seconds: float) -> float:
    """An answer without a body: wrk counts it as wrong, which does not matter here."""
    load = run_wrk(floor.port, script, seconds)
    return load.requests / load.seconds
