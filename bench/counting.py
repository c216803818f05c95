"""What a piece of work costs, in units that no busy machine changes.

- instructions: Python bytecode, as `sys.settrace` sees it
- calls: Python functions entered and C functions called, as `sys.setprofile` sees them
- peak bytes: the most memory that the work held at once, as `tracemalloc` sees it

Work inside C functions is counted as one call each, so this tells whether code grew and not how fast it is.
"""

import gc
import statistics
import sys
import tracemalloc
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

Work = Callable[[], Awaitable[object]]
"""One decision, or whatever else is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one piece of work, on average."""

    instructions: float
    calls: float
    peak_bytes: float


async def cost_of(works: Sequence[Work], finish: Callable[[], object] = lambda: None) -> Cost:
    """The cost of pieces of work of one kind, a third of them for each unit.

    `finish` does what is left over from all of them and is counted with them.
    """
    count = len(works) // 3
    gc.disable()  # a collection costs whoever happens to run
    try:
        instructions = await _instructions(works[:count], finish)
        calls = await _calls(works[count : 2 * count], finish)
        peak_bytes = await _peak_bytes(works[2 * count :])
    finally:
        gc.enable()
    return Cost(instructions=instructions / count, calls=calls / count, peak_bytes=peak_bytes)


async def _instructions(works: Sequence[Work], finish: Callable[[], object]) -> int:
    count = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Callable[..., Any]:  # noqa: ANN401 - as sys.settrace has it
        nonlocal count
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        elif event == "opcode":
            count += 1
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        await _all(works, finish)
    finally:
        sys.settrace(before)
    return count


async def _calls(works: Sequence[Work], finish: Callable[[], object]) -> int:
    count = 0

    def profile(_frame: FrameType, event: str, _argument: Any) -> None:  # noqa: ANN401 - as sys.setprofile has it
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        await _all(works, finish)
    finally:
        sys.setprofile(before)
    return count


async def _all(works: Sequence[Work], finish: Callable[[], object]) -> None:
    for work in works:
        await work()
    finish()


async def _peak_bytes(works: Sequence[Work]) -> float:
    """The usual peak; a table that grows, or another thread, shows in a few of them only."""
    peaks = []
    tracemalloc.start()
    try:
        for work in works:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            await work()
            peaks.append(tracemalloc.get_traced_memory()[1] - before)
    finally:
        tracemalloc.stop()
    return statistics.median(peaks)


async def kept_bytes(work: Work) -> int:
    """Memory that is still held after the work."""
    tracemalloc.start()
    try:
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        await work()
        gc.collect()
        return tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
