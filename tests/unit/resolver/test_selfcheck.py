"""A server that does not answer like an introspection endpoint is told about, at the start and later."""

import pytest

from extauthz.core.decision import Reason
from extauthz.core.introspection import Inactive, TokenState, Unavailable
from extauthz.core.token import Token
from extauthz.observe.events import Happened, Happening
from extauthz.resolver.selfcheck import ALARM_SECONDS, ALARM_TOKENS, InactivityAlarm, self_check
from extauthz.testing import RecordingObserver, TickingClock, active

TROUBLE = Unavailable(reason=Reason.SERVER_REFUSED_US, detail="status 401: check the client id")


class Server:
    """Says the same about every token."""

    def __init__(self, state: TokenState) -> None:
        self.state = state
        self.closed = False

    async def ask(self, token: Token, /) -> TokenState:
        return self.state

    async def close(self) -> None:
        self.closed = True


ANSWERS: list[tuple[TokenState, Happening, str, Reason | None]] = [
    (Inactive(), Happening.SELF_CHECK_PASSED, "", None),
    (active(), Happening.SELF_CHECK_FAILED, "the server calls a random token active", None),
    (Inactive(reason=Reason.WRONG_ISSUER), Happening.SELF_CHECK_FAILED, "the server calls a random token active", None),
    (TROUBLE, Happening.SELF_CHECK_FAILED, "server_refused_us: status 401", Reason.SERVER_REFUSED_US),
]


@pytest.mark.parametrize(("state", "what", "detail", "reason"), ANSWERS)
@pytest.mark.shows("S31")
async def test_anything_but_inactive_is_told_with_what_is_wrong(
    state: TokenState, what: Happening, detail: str, reason: Reason | None
) -> None:
    """A random token is nobody's."""
    observer = RecordingObserver()
    await self_check("main", Server(state), Token("canary"), observer)
    (event,) = observer.happenings
    assert (event.what, event.subject, event.reason) == (what, "main", reason)
    assert event.detail.startswith(detail)
    assert "canary" not in event.detail


class Bench:
    """An alarm with its clock above a server."""

    def __init__(self, ttl: float = 10.0) -> None:
        self.server = Server(active())
        self.clock = TickingClock(1000.0)
        self.observer = RecordingObserver()
        self.alarm = InactivityAlarm(self.server, server="main", ttl=ttl, observer=self.observer, monotonic=self.clock)

    async def ask(self, state: TokenState, *tokens: str) -> None:
        self.server.state = state
        for token in tokens:
            assert await self.alarm.ask(Token(token)) == state

    @property
    def told(self) -> list[Happened]:
        return self.observer.happenings


MANY = tuple(f"t{number}" for number in range(ALARM_TOKENS))


@pytest.mark.shows("S31")
class TestAlarm:
    """There were active tokens, and there are none any more."""

    async def test_many_inactive_tokens_and_no_active_one_for_a_while(self) -> None:
        """That is what a lost permission to introspect looks like."""
        bench = Bench()
        await bench.ask(active(), "good")
        await bench.ask(Inactive(), *MANY)
        bench.clock.advance(ALARM_SECONDS)
        await bench.ask(Inactive(), "one more")
        (event,) = bench.told
        assert (event.what, event.subject) == (Happening.ALL_INACTIVE, "main")
        assert event.detail == "no active token for 60 seconds, but 20 or more inactive ones"

    @pytest.mark.parametrize(
        ("tokens", "seconds", "ttl"),
        [
            (MANY[1:], ALARM_SECONDS, 10.0),
            (MANY[1:] * 10, ALARM_SECONDS, 10.0),
            (MANY, ALARM_SECONDS - 1, 10.0),
            (MANY, 300.0, 600.0),
        ],
        ids=["too few", "the same few again", "too soon", "good ones may be in the cache"],
    )
    async def test_what_alarms_nobody(self, tokens: tuple[str, ...], seconds: float, ttl: float) -> None:
        """A confused client, a short quiet time."""
        bench = Bench(ttl)
        await bench.ask(active(), "good")
        bench.clock.advance(seconds)
        await bench.ask(Inactive(), *tokens)
        assert bench.told == []

    async def test_an_active_token_between_starts_the_count_anew(self) -> None:
        """Junk is no sign of anything while good tokens are good."""
        bench = Bench()
        for _ in range(10):
            await bench.ask(active(), "good")
            bench.clock.advance(ALARM_SECONDS / 2)
            await bench.ask(Inactive(), *MANY)
        await bench.ask(active(), "good")
        bench.clock.advance(ALARM_SECONDS)
        await bench.ask(Inactive(), "a new one")
        assert bench.told == []

    async def test_a_server_that_never_knew_an_active_token_alarms_nobody(self) -> None:
        """The check at the start has said what there is to say."""
        bench = Bench()
        await bench.ask(Inactive(), *MANY)
        bench.clock.advance(3600.0)
        await bench.ask(Inactive(), *MANY)
        assert bench.told == []

    async def test_trouble_is_no_inactive_token(self) -> None:
        """It is told elsewhere."""
        bench = Bench()
        await bench.ask(active(), "good")
        bench.clock.advance(3600.0)
        await bench.ask(TROUBLE, *MANY)
        assert bench.told == []

    async def test_it_is_told_once_until_there_is_an_active_token_again(self) -> None:
        """Then a second time is news."""
        bench = Bench()
        for _ in range(2):
            await bench.ask(active(), "good")
            bench.clock.advance(ALARM_SECONDS)
            await bench.ask(Inactive(), *MANY, *MANY)
        assert [event.what for event in bench.told] == [Happening.ALL_INACTIVE] * 2


async def test_closing_closes_what_is_below() -> None:
    """Connections are given back."""
    bench = Bench()
    await bench.alarm.close()
    assert bench.server.closed
