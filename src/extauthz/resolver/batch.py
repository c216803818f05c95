"""Questions that come at nearly the same time, asked together.

The first one waits `delay` for others, or until there are `size` of them. While `concurrency` batches are under way the
next one waits and grows: the slower the server, the fewer and larger the requests. First come, first asked.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Inactive, TokenState, Unavailable
from extauthz.core.token import Token
from extauthz.resolver.ladder import Asks

MAX_BATCH_CHARACTERS: Final = 64 * 1024
"""Longer tokens are asked about in smaller batches: a server may refuse a large form, and all its tokens with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """How to gather.

    Attributes:
        delay: seconds that a question waits for others.
        size: tokens in a batch at most.
        concurrency: batches under way at once.
        timeout: seconds for one question in all.
        max_waiting: questions that wait; more is overload.
    """

    delay: float
    size: int = 50
    concurrency: int = 4
    timeout: float = 0.5
    max_waiting: int = 1000


class Batcher:
    """Asks about one token by asking about many. A caller that goes away disturbs no other."""

    def __init__(self, inner: Asks[Sequence[Token], Sequence[TokenState]], settings: BatchSettings) -> None:
        self._inner = inner
        self._settings = settings
        self._waiting: dict[asyncio.Future[TokenState], Token] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due = False

    async def ask(self, token: Token, /) -> TokenState:
        """What the server says, within `timeout` seconds. Never raises."""
        if len(self._waiting) >= self._settings.max_waiting:
            return Unavailable(reason=Reason.OVERLOADED, detail="too many questions wait for a batch")
        future: asyncio.Future[TokenState] = asyncio.get_running_loop().create_future()
        self._waiting[future] = token
        self._send()
        try:
            async with asyncio.timeout(self._settings.timeout):
                return await future
        except TimeoutError:
            detail = f"no answer within {self._settings.timeout:g} seconds"
            return Unavailable(reason=Reason.SERVER_TIMEOUT, detail=detail)
        finally:
            self._waiting.pop(future, None)

    async def close(self) -> None:
        """End what is under way and close all connections."""
        if self._timer is not None:
            self._timer.cancel()
        tasks = tuple(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._inner.close()

    def _send(self) -> None:
        """Send every batch that is due or full, as far as there is room, and set the timer for the rest."""
        settings = self._settings
        while len(self._under_way) < settings.concurrency and (self._due or len(self._waiting) >= settings.size):
            batch = self._take()
            if not batch:
                self._due = False
                break
            task = asyncio.create_task(self._ask(batch))
            self._under_way.add(task)
            task.add_done_callback(self._landed)
        if self._waiting and not self._due and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(settings.delay, self._on_time)

    def _take(self) -> Mapping[asyncio.Future[TokenState], Token]:
        """The next batch, out of the line."""
        batch: dict[asyncio.Future[TokenState], Token] = {}
        characters = 0
        for future, token in self._waiting.items():
            characters += len(token.reveal())
            if len(batch) == self._settings.size or (batch and characters > MAX_BATCH_CHARACTERS):
                break
            batch[future] = token
        for future in batch:
            del self._waiting[future]
        return batch

    async def _ask(self, batch: Mapping[asyncio.Future[TokenState], Token]) -> None:
        answer = await self._inner.ask(tuple(batch.values()))
        states = [answer] * len(batch) if isinstance(answer, Unavailable) else answer
        for future, state in zip(batch, states, strict=True):
            if not future.done():
                future.set_result(state)

    def _on_time(self) -> None:
        self._timer = None
        self._due = True
        self._send()

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            self._send()


class OneByOne:
    """A batch for a server that takes one token at a time: all its questions at once, answered when all are."""

    def __init__(self, inner: Asks[Token, Active | Inactive]) -> None:
        self._inner = inner

    async def ask(self, tokens: Sequence[Token], /) -> Sequence[TokenState]:
        """The state of each token, in order."""
        return await asyncio.gather(*(self._inner.ask(token) for token in tokens))

    async def close(self) -> None:
        """Close all connections."""
        await self._inner.close()
