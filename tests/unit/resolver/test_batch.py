"""Questions are gathered, sent in order and answered one by one, and callers do not feel each other."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Inactive, TokenState, Unavailable
from extauthz.core.token import Token
from extauthz.resolver.batch import MAX_BATCH_CHARACTERS, Batcher, BatchSettings, OneByOne
from extauthz.testing import active
from support.virtual_time import clock, in_virtual_time

SETTINGS = BatchSettings(delay=0.01, size=3, concurrency=2, timeout=1.0, max_waiting=8)
TROUBLE = Unavailable(reason=Reason.SERVER_ERROR, detail="status 503")


class Server:
    """Answers batches after a while; the subject of every active token is its text."""

    def __init__(self, takes: float = 0.0, trouble: Unavailable | None = None) -> None:
        self.takes = takes
        self.trouble = trouble
        self.batches: list[list[str]] = []
        self.asked_at: list[float] = []
        self.present = 0
        self.most_present = 0
        self.closed = False

    async def ask(self, tokens: Sequence[Token], /) -> Sequence[TokenState] | Unavailable:
        self.batches.append([token.reveal() for token in tokens])
        self.asked_at.append(clock())
        self.present += 1
        self.most_present = max(self.present, self.most_present)
        try:
            await asyncio.sleep(self.takes)
        finally:
            self.present -= 1
        return self.trouble or [active(sub=token.reveal()) for token in tokens]

    async def close(self) -> None:
        self.closed = True


def start(batcher: Batcher, *tokens: str) -> "list[asyncio.Task[TokenState]]":
    """A caller for each token, in this order."""
    return [asyncio.create_task(batcher.ask(Token(token))) for token in tokens]


def subjects(states: Sequence[object]) -> list[str | None]:
    """Which token each answer is about."""
    return [state.sub if isinstance(state, Active) else None for state in states]


class TestGathering:
    """A question waits for others, but not for long."""

    @in_virtual_time
    async def test_those_that_come_within_the_delay_go_together(self) -> None:
        """Those that come later go with the next ones."""
        server = Server()
        batcher = Batcher(server, SETTINGS)
        early = start(batcher, "a")
        await asyncio.sleep(0.009)
        late = start(batcher, "b")
        await asyncio.sleep(0.002)
        later = start(batcher, "c")
        assert subjects(await asyncio.gather(*early, *late, *later)) == ["a", "b", "c"]
        assert server.batches == [["a", "b"], ["c"]]
        assert server.asked_at == pytest.approx([0.01, 0.021])

    @in_virtual_time
    async def test_a_full_batch_does_not_wait(self) -> None:
        """What is left waits as before."""
        server = Server()
        batcher = Batcher(server, SETTINGS)
        await asyncio.gather(*start(batcher, "a", "b", "c", "d"))
        assert server.batches == [["a", "b", "c"], ["d"]]
        assert server.asked_at == [0.0, 0.01]

    @in_virtual_time
    async def test_a_busy_server_gets_fewer_and_larger_batches(self) -> None:
        """Two at once; what comes meanwhile is sent as soon as there is room, without another delay."""
        server = Server(takes=0.1)
        batcher = Batcher(server, SETTINGS)
        callers = start(batcher, "a")
        await asyncio.sleep(0.02)
        callers += start(batcher, "b")
        await asyncio.sleep(0.02)
        for token in ("c", "d", "e", "f"):
            callers += start(batcher, token)
            await asyncio.sleep(0.011)
        assert subjects(await asyncio.gather(*callers)) == ["a", "b", "c", "d", "e", "f"]
        assert server.batches == [["a"], ["b"], ["c", "d", "e"], ["f"]]
        assert server.asked_at == pytest.approx([0.01, 0.03, 0.11, 0.13])
        assert server.most_present == 2

    @in_virtual_time
    async def test_long_tokens_go_in_smaller_batches(self) -> None:
        """A few of them must not make a form that the server refuses, and with it everybody's question."""
        server = Server()
        long = "x" * (MAX_BATCH_CHARACTERS // 2)
        await asyncio.gather(*start(Batcher(server, SETTINGS), long + "1", long + "2", "c"))
        assert [len(batch) for batch in server.batches] == [1, 2]

    @in_virtual_time
    async def test_a_quiet_time_between_leaves_nothing_behind(self) -> None:
        """The next question waits its full delay."""
        server = Server()
        batcher = Batcher(server, SETTINGS)
        await asyncio.gather(*start(batcher, "a"))
        await asyncio.sleep(100.0)
        await asyncio.gather(*start(batcher, "b"))
        assert server.asked_at == pytest.approx([0.01, 100.02])


class TestTrouble:
    """What can go wrong, and who feels it."""

    @in_virtual_time
    async def test_trouble_of_a_batch_is_everybodys(self) -> None:
        """Nothing is known about any of its tokens."""
        assert await asyncio.gather(*start(Batcher(Server(trouble=TROUBLE), SETTINGS), "a", "b")) == [TROUBLE] * 2

    @pytest.mark.parametrize("after", [0.0, 0.005, 0.05], ids=["before it ran", "while gathering", "under way"])
    @pytest.mark.parametrize("leaving", [0, 1])
    def test_a_caller_that_goes_away_harms_no_other(self, after: float, leaving: int) -> None:
        """Neither while questions are gathered nor while they are asked."""

        @in_virtual_time
        async def asking() -> None:
            callers = start(Batcher(Server(takes=0.1), SETTINGS), "a", "b")
            await asyncio.sleep(after)
            callers[leaving].cancel()
            results = await asyncio.gather(*callers, return_exceptions=True)
            assert isinstance(results[leaving], asyncio.CancelledError)
            assert subjects(results)[1 - leaving] == "ab"[1 - leaving]

        asking()

    @in_virtual_time
    async def test_who_goes_away_while_waiting_is_not_asked_about(self) -> None:
        """And leaves room in the line."""
        server = Server()
        batcher = Batcher(server, SETTINGS)
        first, _ = start(batcher, "a", "b")
        await asyncio.sleep(0.001)
        first.cancel()
        await asyncio.sleep(1.0)
        assert server.batches == [["b"]]

    @in_virtual_time
    async def test_nobody_waits_longer_than_allowed(self) -> None:
        """The delay and the wait for room are part of it."""
        batcher = Batcher(Server(takes=3600.0), SETTINGS)
        answers = await asyncio.gather(*start(batcher, *"abcdefgh"))
        assert {answer.reason for answer in answers if not isinstance(answer, Active)} == {Reason.SERVER_TIMEOUT}
        assert clock() == 1.0
        await batcher.close()

    @in_virtual_time
    async def test_more_than_may_wait_is_overload(self) -> None:
        """Told at once."""
        server = Server(takes=0.1)
        batcher = Batcher(server, replace(SETTINGS, max_waiting=2, size=1))
        answers = await asyncio.gather(*start(batcher, *"abcde"))
        assert subjects(answers) == ["a", "b", "c", "d", None]
        assert isinstance(answers[4], Unavailable)
        assert answers[4].reason is Reason.OVERLOADED

    @in_virtual_time
    async def test_closing_ends_what_is_under_way(self) -> None:
        """And the connections below."""
        server = Server(takes=3600.0)
        batcher = Batcher(server, SETTINGS)
        callers = start(batcher, *"abcd")
        await asyncio.sleep(0.001)
        await batcher.close()
        assert (server.present, server.closed) == (0, True)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)


class Single:
    """Answers about one token at a time; `good` is active."""

    def __init__(self) -> None:
        self.closed = False

    async def ask(self, token: Token, /) -> TokenState:
        await asyncio.sleep(0.1)
        return active() if token.reveal() == "good" else Inactive()

    async def close(self) -> None:
        self.closed = True


@in_virtual_time
async def test_a_server_without_a_batch_endpoint_is_asked_about_each_token() -> None:
    """All at once, and the answers are in order."""
    single = Single()
    many = OneByOne(single)
    assert await many.ask([Token("good"), Token("bad"), Token("good")]) == [active(), Inactive(), active()]
    assert clock() == 0.1
    await many.close()
    assert single.closed
