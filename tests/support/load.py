"""Requests that go on while something is done to the service."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_REQUESTS = 50_000
JOIN_SECONDS = 40.0


@dataclass
class Seen(Generic[T]):
    """What came back so far. `phase` is set by the test; answers are counted by the phase in which they were asked for."""

    phase: str = "before"
    answers: dict[str, Counter[T]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, phase: str, answer: T) -> None:
        """Count one answer."""
        with self._lock:
            self.answers.setdefault(phase, Counter())[answer] += 1

    def during(self, phase: str) -> Counter[T]:
        """The answers so far to what was asked in a phase."""
        with self._lock:
            return Counter(self.answers.get(phase, Counter()))

    def wait_for(self, count: int, seconds: float = 60.0) -> None:
        """Return once so many answers of the phase of now are there."""
        deadline = time.monotonic() + seconds
        while self.during(self.phase).total() < count:
            assert time.monotonic() < deadline, f"only {self.during(self.phase)} in phase {self.phase}"
            time.sleep(0.02)


@contextmanager
def under_load(*asks: Callable[[], T]) -> Iterator[Seen[T]]:
    """Ask again and again, each in a thread of its own, until the block ends."""
    seen: Seen[T] = Seen()
    done = threading.Event()

    def go_on(ask: Callable[[], T]) -> None:
        for _ in range(MAX_REQUESTS):
            if done.is_set():
                return
            phase = seen.phase
            seen.note(phase, ask())

    threads = [threading.Thread(target=go_on, args=(ask,), daemon=True) for ask in asks]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        done.set()
        for thread in threads:
            thread.join(JOIN_SECONDS)
