"""Tokens that cost no question: those that cannot be the server's, and those of an address that sends too many bad ones."""

import asyncio

import pytest

from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Inactive, Resolution, TokenState, Unavailable
from extauthz.core.terms import Terms
from extauthz.core.token import Token
from extauthz.resolver.cache import TokenCache
from extauthz.resolver.chain import Resolver, Source
from extauthz.resolver.limiter import InactiveLimiter, LimitSettings
from extauthz.resolver.settings import ServerSettings
from extauthz.resolver.shape import TokenShape
from extauthz.testing import RecordingObserver, TickingClock, active

GUESSER, OTHER = "192.0.2.1", "192.0.2.2"
LIMIT = LimitSettings(per_minute=60, burst=3, max_addresses=100)
SETTINGS = ServerSettings(name="main", introspection_endpoint="https://as.example.com/introspect", client_id="gateway")
TROUBLE = Unavailable(reason=Reason.SERVER_ERROR, detail="status 503")


class Server:
    """Every token that begins with `good` is active, those that begin with `odd` are trouble."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate: asyncio.Event | None = None

    async def ask(self, token: Token) -> TokenState:
        text = token.reveal()
        self.asked.append(text)
        if self.gate is not None:
            await self.gate.wait()
        if text.startswith("odd"):
            return TROUBLE
        return active() if text.startswith("good") else Inactive()

    async def close(self) -> None:
        """Nothing to close."""


class Bench:
    """A resolver with a limit of three bad tokens at once and sixty a minute."""

    def __init__(self, shape: TokenShape | None = None) -> None:
        self.monotonic, self.wall = TickingClock(1000.0), TickingClock()
        self.server = Server()
        cache = TokenCache(SETTINGS, secret=b"k", monotonic=self.monotonic, wall=self.wall)
        source = Source(name="main", cache=cache, client=self.server, shape=shape or TokenShape())
        limiter = InactiveLimiter(LIMIT, self.monotonic)
        self.resolver = Resolver([source], observer=RecordingObserver(), monotonic=self.monotonic, limiter=limiter)

    async def resolve(self, token: str, address: str = GUESSER, max_age: float | None = None) -> Resolution:
        known = self.resolver.known("main", Token(token), max_age)
        return (
            known
            if known is not None
            else await self.resolver.resolve("main", Token(token), Terms(max_age, address=address))
        )

    async def guess(self, count: int, address: str = GUESSER, name: str = "bad") -> list[TokenState]:
        """The states of so many tokens, each another one."""
        return [(await self.resolve(f"{name}-{number}", address)).state for number in range(count)]


def refused(states: list[TokenState]) -> int:
    """How many were not asked about."""
    return sum(isinstance(state, Unavailable) and state.reason is Reason.TOO_MANY_INACTIVE for state in states)


class TestShape:
    """What a server's tokens look like is known beforehand."""

    @pytest.mark.shows("S40")
    async def test_a_token_of_another_shape_is_inactive_without_a_question(self) -> None:
        """And it fills no room in the cache."""
        bench = Bench(TokenShape(prefix="good"))
        resolution = await bench.resolve("bad")
        assert (resolution.state, resolution.level) == (Inactive(), "refused")
        assert (await bench.resolve("good")).state == active()
        assert bench.server.asked == ["good"]
        assert bench.resolver.known("main", Token("bad"), None) is None

    async def test_it_costs_its_sender_nothing(self) -> None:
        """It costs nobody anything."""
        bench = Bench(TokenShape(prefix="good", max_length=5))
        await bench.guess(100)
        assert (await bench.resolve("good")).state == active()


@pytest.mark.shows("S40")
class TestLimit:
    """Guessing tokens costs the server no more than is configured."""

    @pytest.mark.shows("O17", "S40")
    async def test_after_so_many_bad_tokens_an_address_is_told_to_wait(self) -> None:
        """Seconds for `Retry-After`, and the server is not asked."""
        bench = Bench()
        await bench.guess(3)
        resolution = await bench.resolve("bad-3")
        assert resolution.level == "refused"
        assert resolution.state == Unavailable(
            reason=Reason.TOO_MANY_INACTIVE, detail="too many inactive tokens", retry_after=1
        )
        assert len(bench.server.asked) == 3

    async def test_later_it_is_asked_about_again(self) -> None:
        """One a second."""
        bench = Bench()
        await bench.guess(3)
        bench.monotonic.advance(1.0)
        assert refused(await bench.guess(2, name="later")) == 1

    async def test_known_tokens_pass_as_ever(self) -> None:
        """The good and the bad ones: they cost no question."""
        bench = Bench()
        await bench.resolve("good")
        await bench.guess(3)
        assert (await bench.resolve("good")).level == "memory"
        assert (await bench.resolve("bad-0")).level == "memory"

    async def test_a_known_good_token_passes_on_a_live_route_too(self) -> None:
        """It is asked about anew, but it is not a guess; a known bad one is."""
        bench = Bench()
        await bench.resolve("good")
        await bench.guess(3)
        assert (await bench.resolve("good", max_age=0.0)).level == "server"
        assert refused([(await bench.resolve("bad-0", max_age=0.0)).state]) == 1

    @pytest.mark.shows("S40")
    async def test_other_addresses_feel_nothing(self) -> None:
        """Nor does one that nobody knows."""
        bench = Bench()
        await bench.guess(10)
        assert refused(await bench.guess(3, OTHER, "other")) == 0
        assert refused(await bench.guess(100, "", "unknown")) == 0

    async def test_good_tokens_and_trouble_are_not_counted(self) -> None:
        """However many there are, one after the other."""
        bench = Bench()
        assert await bench.guess(100, name="good") == [active()] * 100
        assert await bench.guess(100, name="odd") == [TROUBLE] * 100
        assert refused(await bench.guess(4)) == 1

    async def test_many_at_once_do_not_slip_through(self) -> None:
        """Each is paid for before its answer is there."""
        bench = Bench()
        states = await asyncio.gather(*(bench.resolve(f"bad-{number}") for number in range(100)))
        assert refused([resolution.state for resolution in states]) == 97
        assert len(bench.server.asked) == 3

    async def test_going_away_does_not_make_it_free(self) -> None:
        """The server is asked all the same."""
        bench = Bench()
        bench.server.gate = asyncio.Event()
        callers = [asyncio.create_task(bench.resolve(f"bad-{number}")) for number in range(3)]
        await asyncio.sleep(0)
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        bench.server.gate.set()
        assert refused([(await bench.resolve("bad-3")).state]) == 1
        await bench.resolver.close()

    async def test_an_unknown_good_token_waits_with_the_bad_ones(self) -> None:
        """Nobody can tell it from them without asking; once the bucket has refilled it passes."""
        bench = Bench()
        await bench.guess(3)
        assert refused([(await bench.resolve("good")).state]) == 1
        bench.monotonic.advance(1.0)
        assert isinstance((await bench.resolve("good")).state, Active)
