"""From a question to its answer, whatever the server does meanwhile.

Five rungs, each of which may be the last:

1. circuit   open: no question at all
2. slot      so many questions at once, so many waiting for their turn; more is overload and told at once
3. question  cut off when the time for all attempts together is over
4. verdict   only trouble of the server opens the circuit; what it says about a token or about us does not
5. again     after a random pause, if the trouble may pass, time is left and the budget allows

A question may be about one token or about many: all that matters here is whether the answer is `Unavailable`.
"""

import asyncio
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from extauthz.core.decision import Reason
from extauthz.core.introspection import MAX_RETRY_AFTER_SECONDS, Unavailable
from extauthz.observe.events import Happened, Happening, Observer
from extauthz.resolver.breaker import Breaker, BreakerSettings, Clock, State
from extauthz.resolver.retry_budget import RetryBudget

Question = TypeVar("Question")
Answer = TypeVar("Answer")
Question_contra = TypeVar("Question_contra", contravariant=True)
Answer_co = TypeVar("Answer_co", covariant=True)

_FAILURES: Final = frozenset(
    {Reason.SERVER_UNREACHABLE, Reason.SERVER_TIMEOUT, Reason.SERVER_ERROR, Reason.SERVER_BUSY}
)
"""What opens the circuit. A 4xx does not: whoever sends odd tokens could otherwise shut everybody out."""

_WORTH_REPEATING: Final = frozenset({Reason.SERVER_UNREACHABLE, Reason.SERVER_ERROR})
"""A busy server has asked to be left alone, and after a timeout no time is left."""

_FIRST_PAUSE_SECONDS: Final = 0.05

_SHARE_FOR_WAITING: Final = 0.5
"""Of the time that is left: whoever waited longer would have none for the answer, and the server none but such."""


class Asks(Protocol[Question_contra, Answer_co]):
    """Asks one authorization server."""

    async def ask(self, question: Question_contra, /) -> Answer_co | Unavailable:
        """What the server says. Must not raise: trouble is `Unavailable`."""

    async def close(self) -> None:
        """Give connections back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderSettings:
    """How hard to try.

    Attributes:
        timeout: seconds for one question in all: its turn, its attempts and the pauses between them.
        retries: how often one question may be repeated.
        max_concurrent: questions at the server at once.
        max_waiting: questions that wait for their turn.
        circuit: when to leave the server alone.
    """

    timeout: float = 0.5
    retries: int = 1
    max_concurrent: int = 100
    max_waiting: int = 1000
    circuit: BreakerSettings = field(default_factory=BreakerSettings)


class Ladder(Generic[Question, Answer]):
    """Asks one server within limits. Never raises; a cancellation passes through and frees the slot."""

    def __init__(
        self,
        inner: Asks[Question, Answer],
        settings: LadderSettings,
        *,
        server: str,
        observer: Observer,
        monotonic: Clock,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._inner = inner
        self._settings = settings
        self._server = server
        self._observer = observer
        self._monotonic = monotonic
        self._random = random
        self._breaker = Breaker(settings.circuit, monotonic, random=random, on_change=self._tell_circuit)
        self._budget = RetryBudget(on_spent=lambda: self._tell(Happening.RETRY_BUDGET_SPENT))
        self._slots = asyncio.Semaphore(settings.max_concurrent)
        self._waiting = 0

    async def ask(self, question: Question, /) -> Answer | Unavailable:
        """The answer, or why there is none, within `timeout` seconds."""
        until = self._monotonic() + self._settings.timeout
        self._budget.pay_in()
        answer = await self._attempt(question, until)
        for repeated in range(self._settings.retries):
            if not isinstance(answer, Unavailable) or not self._worth_repeating(answer):
                break
            pause = self._random() * _FIRST_PAUSE_SECONDS * 2**repeated
            if self._monotonic() + pause >= until or not self._budget.take():
                break
            self._tell(Happening.RETRIED, answer.reason.value)
            await asyncio.sleep(pause)
            answer = await self._attempt(question, until)
        return answer

    async def close(self) -> None:
        """Close all connections."""
        await self._inner.close()

    async def _attempt(self, question: Question, until: float) -> Answer | Unavailable:
        """Rungs 1 to 4."""
        if self._breaker.rest > 0:
            return self._circuit_open()
        if not await self._enter(until):
            self._tell(Happening.OVERLOADED)
            return Unavailable(reason=Reason.OVERLOADED, detail="too many questions wait for the server")
        try:
            if not self._breaker.allow():
                return self._circuit_open()
            answer = await self._ask_until(question, until)
            self._judge(answer)
            return answer
        finally:
            self._slots.release()

    async def _enter(self, until: float) -> bool:
        """Take a slot, in the order of arrival; False when the line is full or the turn does not come in time."""
        if not self._slots.locked():
            return await self._slots.acquire()
        if self._waiting >= self._settings.max_waiting:
            return False
        self._waiting += 1
        try:
            async with asyncio.timeout((until - self._monotonic()) * _SHARE_FOR_WAITING):
                await self._slots.acquire()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return True

    async def _ask_until(self, question: Question, until: float) -> Answer | Unavailable:
        try:
            async with asyncio.timeout(until - self._monotonic()):
                return await self._inner.ask(question)
        except TimeoutError:
            detail = f"no answer within {self._settings.timeout:g} seconds"
            return Unavailable(reason=Reason.SERVER_TIMEOUT, detail=detail)

    def _judge(self, answer: Answer | Unavailable) -> None:
        if isinstance(answer, Unavailable) and answer.reason in _FAILURES:
            self._breaker.failed()
        else:
            self._breaker.succeeded()

    def _worth_repeating(self, trouble: Unavailable) -> bool:
        """Not what would be the same again, and not against the server's wish or ours."""
        return trouble.reason in _WORTH_REPEATING and trouble.retry_after == 0 and self._breaker.rest == 0

    def _circuit_open(self) -> Unavailable:
        rest = min(math.ceil(self._breaker.rest), MAX_RETRY_AFTER_SECONDS)
        return Unavailable(reason=Reason.SERVER_CIRCUIT_OPEN, detail="the circuit is open", retry_after=rest)

    def _tell_circuit(self, state: State) -> None:
        what = Happening.CIRCUIT_OPENED if state is State.OPEN else Happening.CIRCUIT_CLOSED
        self._tell(what, f"tried again in {self._breaker.rest:.1f} seconds" if state is State.OPEN else "")

    def _tell(self, what: Happening, detail: str = "") -> None:
        self._observer.happened(Happened(what=what, subject=self._server, detail=detail))
