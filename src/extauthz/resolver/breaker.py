"""A circuit breaker: what fails too often is left alone for a while, then tried with one question at a time.

    closed ── `failures` of the last `window` results failed ──▶ open ── after a pause ──▶ half open: one probe
      ▲                                                           ▲                              │
      └────────────────────── the probe succeeded ────────────────┼──────────────────────────────┤
                                    after a longer pause          └────── the probe failed ──────┘

The rule counts results, not seconds, so it means the same at ten questions a second and at ten thousand. A probe that
nobody reports on (its caller was cancelled) holds nothing up: one more is let through after every pause.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

Clock = Callable[[], float]

_GROWTH: Final = 2.0
"""Each pause in a row is this much longer than the one before."""

_JITTER: Final = 0.25
"""By up to this share a pause is lengthened, so that processes do not all probe at the same moment."""


class State(StrEnum):
    """What a breaker lets through: all, nothing, or a probe now and then."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerSettings:
    """When to open, and for how long.

    Attributes:
        failures: so many of the last results must have failed to open it.
        window: how many results are looked back on; as many as `failures` means failures in a row.
        open_seconds: the first pause; longer than a question may take, so that only a probe is answered after it.
        max_open_seconds: no pause is longer, but for the jitter of a quarter.
    """

    failures: int = 10
    window: int = 20
    open_seconds: float = 1.0
    max_open_seconds: float = 30.0


class Breaker:
    """Says whether to try. Whoever was allowed to reports how it went; a result that proves nothing needs no report.

    `on_change` is called when the breaker opens and when it closes again, not for each probe between.
    """

    def __init__(
        self,
        settings: BreakerSettings,
        monotonic: Clock,
        *,
        random: Callable[[], float] = random.random,
        on_change: Callable[[State], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._random = random
        self._on_change = on_change
        self._failed: deque[bool] = deque(maxlen=settings.window)
        self._state = State.CLOSED
        self._pause = 0.0
        self._probe_at = 0.0

    @property
    def state(self) -> State:
        """The state after the last call; it is `allow` that notices that a pause is over."""
        return self._state

    @property
    def rest(self) -> float:
        """Seconds until the next probe may go; 0 when closed."""
        return 0.0 if self._state is State.CLOSED else max(0.0, self._probe_at - self._monotonic())

    def allow(self) -> bool:
        """Whether to try now. While it is not closed, a True makes the caller the one probe of this pause."""
        if self._state is State.CLOSED:
            return True
        now = self._monotonic()
        if now < self._probe_at:
            return False
        self._state = State.HALF_OPEN
        self._probe_at = now + self._pause
        return True

    def succeeded(self) -> None:
        """It worked. Too late to matter when the breaker has opened meanwhile."""
        if self._state is State.CLOSED:
            self._failed.append(False)
        elif self._state is State.HALF_OPEN:
            self._failed.clear()
            self._state = State.CLOSED
            self._on_change(self._state)

    def failed(self) -> None:
        """It did not work."""
        if self._state is State.CLOSED:
            self._failed.append(True)
            if sum(self._failed) >= self._settings.failures:
                self._open(self._settings.open_seconds)
                self._on_change(self._state)
        elif self._state is State.HALF_OPEN:
            self._open(self._pause * _GROWTH)

    def _open(self, pause: float) -> None:
        self._pause = min(pause, self._settings.max_open_seconds)
        self._probe_at = self._monotonic() + self._pause * (1 + _JITTER * self._random())
        self._state = State.OPEN
