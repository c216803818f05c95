"""The way of a token: the cache, then one question to the one server that the route names."""

import asyncio
from dataclasses import replace

import httpx
import pytest

from extauthz.core.decision import Reason
from extauthz.core.introspection import Inactive, Resolution, TokenState, Unavailable
from extauthz.core.terms import Terms
from extauthz.core.token import Token
from extauthz.observe.events import Introspected
from extauthz.resolver.cache import TokenCache
from extauthz.resolver.chain import Resolver, Source
from extauthz.resolver.revocation import ALL, Kind, Notice, Revocations
from extauthz.resolver.select import Marks, Selector
from extauthz.resolver.settings import ServerSettings
from extauthz.resolver.transport import Transport
from extauthz.testing import RecordingObserver, TickingClock, active
from support.asking import client_of, with_secret

NOW = 1_700_000_000.0
SETTINGS = ServerSettings(
    name="main",
    introspection_endpoint="https://as.example.com/introspect",
    client_id="gateway",
    ttl=60.0,
    negative_ttl=10.0,
    max_entries=1000,
)
JWT = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2V2aWwuZXhhbXBsZS5jb20ifQ."
"""Of an issuer that nobody knows."""

TROUBLE = Unavailable(reason=Reason.SERVER_TIMEOUT, detail="no answer within 0.5 seconds")


class StubServer:
    """An authorization server that answers when it is let go, with what it knew when it was asked."""

    def __init__(self, clock: TickingClock, state: TokenState) -> None:
        self.clock = clock
        self.state = state
        self.asked: list[str] = []
        self.gates: list[asyncio.Event] = []
        self.gated = False
        self.takes = 0.0
        self.closed = False

    async def ask(self, token: Token) -> TokenState:
        """The state as of now, told later."""
        self.asked.append(token.reveal())
        state = self.state
        self.clock.advance(self.takes)
        if self.gated:
            self.gates.append(asyncio.Event())
            await self.gates[-1].wait()
        return state

    async def close(self) -> None:
        """Remember it."""
        self.closed = True


class Bench:
    """A resolver with two servers and both clocks."""

    def __init__(self, *, stale_if_error: float = 0.0) -> None:
        self.settings = replace(SETTINGS, stale_if_error=stale_if_error)
        self.monotonic = TickingClock(1000.0)
        self.wall = TickingClock(NOW)
        self.observer = RecordingObserver()
        self.revocations = Revocations(lambda kind, claim: f"{kind} {claim}")
        self.main = StubServer(self.monotonic, active())
        self.other = StubServer(self.monotonic, Inactive())
        self.resolver = Resolver(
            [self.source("main", self.main), self.source("other", self.other)],
            observer=self.observer,
            monotonic=self.monotonic,
            selector=Selector({"main": Marks(prefix="m"), "other": Marks(opaque=True)}),
        )

    def source(self, name: str, server: StubServer) -> Source:
        settings = replace(self.settings, name=name)
        cache = TokenCache(
            settings, secret=b"k", monotonic=self.monotonic, wall=self.wall, revocations=self.revocations
        )
        return Source(name=name, cache=cache, client=server)

    def pass_time(self, seconds: float) -> None:
        self.monotonic.advance(seconds)
        self.wall.advance(seconds)

    async def resolve(self, token: str = "t", max_age: float | None = None, server: str = "main") -> Resolution:
        known = self.resolver.known(server, Token(token), max_age)
        return known if known is not None else await self.resolver.resolve(server, Token(token), Terms(max_age))

    def begin(self, token: str = "t", max_age: float | None = None) -> "asyncio.Task[Resolution]":
        return asyncio.create_task(self.resolve(token, max_age))


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def settle() -> None:
    """Let every task run as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.shows("S35", "S40", "E64")
async def test_a_hundred_requests_with_one_new_token_are_one_question(bench: Bench) -> None:
    """All of them have the answer, and the next one finds it in memory."""
    bench.main.gated = True
    requests = [bench.begin() for _ in range(100)]
    await settle()
    bench.main.gates[0].set()
    answers = await asyncio.gather(*requests)
    assert [answer.state for answer in answers] == [active()] * 100
    assert [answer.level for answer in answers] == ["server", *["joined"] * 99]
    assert bench.main.asked == ["t"]
    assert (await bench.resolve()).level == "memory"
    assert bench.main.asked == ["t"]


async def test_what_the_cache_has_is_known_without_waiting(bench: Bench) -> None:
    """The same answer as `resolve` gives, and nothing where that would ask: a new token, an old answer, another server."""
    token = Token("t")
    assert bench.resolver.known("main", token, None) is None
    await bench.resolve()
    bench.pass_time(5.0)
    assert bench.resolver.known("main", token, None) == await bench.resolve()
    assert bench.resolver.known("main", token, 5.0) is None
    assert bench.resolver.known("main", token, 0.0) is None
    assert bench.resolver.known("other", token, None) is None
    assert bench.main.asked == ["t"]


async def test_other_tokens_are_other_questions(bench: Bench) -> None:
    """Each is asked about once."""
    await asyncio.gather(*(bench.resolve(f"t{number % 10}") for number in range(100)))
    assert sorted(bench.main.asked) == [f"t{number}" for number in range(10)]


@pytest.mark.shows("S32")
async def test_an_answer_is_repeated_while_it_is_fresh(bench: Bench) -> None:
    """A token that ends in five seconds: no question after four, one after six."""
    bench.main.state = active(exp=NOW + 5)
    await bench.resolve()
    bench.pass_time(4.0)
    await bench.resolve()
    assert bench.main.asked == ["t"]
    bench.pass_time(2.0)
    bench.main.state = Inactive()
    assert (await bench.resolve()).state == Inactive()
    assert bench.main.asked == ["t", "t"]


async def test_a_revoked_token_is_found_out_when_the_ttl_ends(bench: Bench) -> None:
    """Not before, unless a route asks live."""
    await bench.resolve()
    bench.main.state = Inactive()
    bench.pass_time(59.0)
    assert (await bench.resolve()).state == active()
    bench.pass_time(1.0)
    assert (await bench.resolve()).state == Inactive()


class TestServers:
    """A token is shown to nobody but the server that the route names."""

    @pytest.mark.shows("S24")
    @pytest.mark.parametrize(("server", "state"), [("main", active()), ("other", Inactive())])
    async def test_only_the_named_one_is_asked(self, bench: Bench, server: str, state: TokenState) -> None:
        """Asking one after the other would hand tokens to strangers."""
        assert (await bench.resolve(server=server)).state == state
        assert (bench.main.asked, bench.other.asked) == ((["t"], []) if server == "main" else ([], ["t"]))

    @pytest.mark.shows("S24")
    async def test_trouble_at_one_does_not_lead_to_another(self, bench: Bench) -> None:
        """Nor does an inactive token."""
        for state in (TROUBLE, Inactive()):
            bench.main.state = state
            assert (await bench.resolve()).state == state
        assert bench.other.asked == []

    @pytest.mark.shows("S24", "N57")
    async def test_what_one_said_is_not_believed_of_another(self, bench: Bench) -> None:
        """The same text may be a token of both."""
        await bench.resolve(server="main")
        assert (await bench.resolve(server="other")).state == Inactive()
        assert bench.other.asked == ["t"]

    @pytest.mark.shows("N57")
    async def test_questions_to_different_ones_do_not_share_a_flight(self, bench: Bench) -> None:
        """Also when they are asked at the same time about the same token."""
        answers = await asyncio.gather(bench.resolve(server="main"), bench.resolve(server="other"))
        assert [answer.state for answer in answers] == [active(), Inactive()]


class TestLive:
    """A `max_age` of 0: no answer to an earlier question may decide."""

    @pytest.mark.shows("S33")
    async def test_it_asks_although_the_answer_is_in_memory(self, bench: Bench) -> None:
        """A revocation acts at once."""
        await bench.resolve()
        bench.main.state = Inactive()
        assert (await bench.resolve(max_age=0)).state == Inactive()
        assert bench.main.asked == ["t", "t"]

    @pytest.mark.shows("S33")
    async def test_it_does_not_board_a_flight_that_left_before(self, bench: Bench) -> None:
        """The question in the air may have been answered before the token was revoked."""
        bench.main.gated = True
        early = bench.begin()
        await settle()
        bench.main.state = Inactive()
        live = bench.begin(max_age=0)
        await settle()
        for gate in bench.main.gates:
            gate.set()
        assert [(await early).state, (await live).state] == [active(), Inactive()]

    async def test_its_answer_is_kept_although_the_earlier_one_comes_later(self, bench: Bench) -> None:
        """The slow answer must not bring the revoked token back."""
        bench.main.gated = True
        early = bench.begin()
        await settle()
        bench.pass_time(0.1)
        bench.main.state = Inactive()
        live = bench.begin(max_age=0)
        await settle()
        bench.main.gates[1].set()
        assert (await live).state == Inactive()
        bench.main.gates[0].set()
        assert (await early).state == active()
        assert (await bench.resolve()).state == Inactive()

    async def test_a_cached_answer_younger_than_max_age_will_do(self, bench: Bench) -> None:
        """Between live and the cache's own ttl."""
        await bench.resolve()
        bench.pass_time(4.0)
        assert (await bench.resolve(max_age=5.0)).level == "memory"
        bench.pass_time(1.0)
        assert (await bench.resolve(max_age=5.0)).level == "server"

    @pytest.mark.parametrize(("age", "questions"), [(4.0, 1), (6.0, 2)])
    async def test_a_flight_younger_than_max_age_is_boarded(self, bench: Bench, age: float, questions: int) -> None:
        """An older one is not waited for."""
        bench.main.gated = True
        requests = [bench.begin()]
        await settle()
        bench.pass_time(age)
        requests.append(bench.begin(max_age=5.0))
        await settle()
        for gate in bench.main.gates:
            gate.set()
        await asyncio.gather(*requests)
        assert len(bench.main.asked) == questions


class TestTrouble:
    """It is told, it is not kept, and it spoils nothing."""

    @pytest.mark.shows("S26", "S36")
    async def test_the_next_request_asks_again(self, bench: Bench) -> None:
        """The server may be well again."""
        bench.main.state = TROUBLE
        assert (await bench.resolve()).state == TROUBLE
        bench.main.state = active()
        assert (await bench.resolve()).state == active()

    async def test_known_tokens_live_through_it(self, bench: Bench) -> None:
        """Also when a live route met it meanwhile."""
        await bench.resolve()
        bench.main.state = TROUBLE
        assert (await bench.resolve(max_age=0)).state == TROUBLE
        assert (await bench.resolve()).state == active()

    @pytest.mark.parametrize(
        ("max_stale", "level"), [(None, "stale"), (20.0, "stale"), (5.0, "server"), (0.0, "server")]
    )
    async def test_a_route_says_how_much_too_old_an_answer_may_be(self, max_stale: float | None, level: str) -> None:
        """Within what the server's settings allow."""
        bench = Bench(stale_if_error=30.0)
        await bench.resolve()
        bench.main.state = TROUBLE
        bench.pass_time(70.0)
        resolution = await bench.resolver.resolve("main", Token("t"), Terms(max_stale=max_stale))
        assert resolution.level == level

    @pytest.mark.shows("S37")
    async def test_nothing_stale_is_served_when_the_entry_has_ended(self, bench: Bench) -> None:
        """An outage does not prolong a token."""
        await bench.resolve()
        bench.main.state = TROUBLE
        bench.pass_time(60.0)
        assert (await bench.resolve()).state == TROUBLE


def json_answer(status: int, body: str) -> httpx.Response:
    """An answer as our wire hands it over."""
    stream = httpx.ByteStream(body.encode())
    return httpx.Response(status, headers={"content-type": "application/json"}, stream=stream)


@pytest.mark.shows("S41")
@pytest.mark.parametrize("error", ["unsupported_token_type", "invalid_request"])
async def test_a_flood_of_refused_tokens_keeps_no_good_one_from_being_asked_about(bench: Bench, error: str) -> None:
    """Some servers answer 400 to any token that they cannot read, and anybody can send such tokens."""

    def answer(request: httpx.Request) -> httpx.Response:
        if b"token=good" in request.content:
            return json_answer(200, '{"active":true,"scope":"orders:read","sub":"u1"}')
        return json_answer(400, f'{{"error":"{error}"}}')

    transport = Transport(wire=lambda _: httpx.MockTransport(answer))
    client = client_of(SETTINGS, with_secret("gateway", "s3cret"), transport)
    cache = TokenCache(SETTINGS, secret=b"k", monotonic=bench.monotonic, wall=bench.wall)
    resolver = Resolver(
        [Source(name="main", cache=cache, client=client)], observer=bench.observer, monotonic=bench.monotonic
    )
    await resolver.resolve("main", Token("good-1"), Terms())
    flood = [await resolver.resolve("main", Token(f"junk{number}"), Terms()) for number in range(200)]
    assert {type(junk.state) for junk in flood} == {Inactive}
    assert (await resolver.resolve("main", Token("good-2"), Terms())).state == active()
    await resolver.close()


@pytest.mark.shows("S40")
async def test_a_worthless_token_is_asked_about_once_while_its_answer_lives(bench: Bench) -> None:
    """However often it is sent; afterwards once more."""
    bench.main.state = Inactive()
    for _ in range(100):
        await bench.resolve()
    assert bench.main.asked == ["t"]
    bench.pass_time(SETTINGS.negative_ttl)
    await bench.resolve()
    assert bench.main.asked == ["t", "t"]


class TestPatience:
    """A caller that waits no longer."""

    @pytest.mark.shows("E61", "E62")
    async def test_a_token_that_turns_out_valid_too_late_does_not_pass(self, bench: Bench) -> None:
        """The caller is told that the server is slow; the answer is for whoever asks next."""
        bench.main.gated = True
        late = await bench.resolver.resolve("main", Token("t"), Terms(patience=0.01))
        assert isinstance(late.state, Unavailable)
        assert late.state.reason is Reason.SERVER_TIMEOUT
        bench.main.gates[0].set()
        await settle()
        assert ((await bench.resolve()).state, bench.main.asked) == (active(), ["t"])


@pytest.mark.shows("S37")
class TestStale:
    """An answer from before, while the server cannot be asked."""

    @pytest.fixture
    def bench(self) -> Bench:
        return Bench(stale_if_error=30.0)

    async def outage(self, bench: Bench) -> None:
        """Begin one after the answer about `t` has become too old."""
        await bench.resolve()
        bench.pass_time(61.0)
        bench.main.state = TROUBLE

    async def test_it_is_served_after_the_server_was_asked_in_vain(self, bench: Bench) -> None:
        """And says that it is one; no gateway may keep it."""
        await self.outage(bench)
        answer = await bench.resolve()
        assert (answer.state, answer.level, answer.fresh_until) == (active(), "stale", bench.monotonic.now)
        assert bench.main.asked == ["t", "t"]

    async def test_all_who_shared_the_question_have_it(self, bench: Bench) -> None:
        """But not those who wanted a live answer."""
        await self.outage(bench)
        answers = await asyncio.gather(bench.resolve(), bench.resolve(), bench.resolve(max_age=0))
        assert [answer.level for answer in answers] == ["stale", "stale", "server"]

    async def test_it_ends(self, bench: Bench) -> None:
        """Half a minute after the answer was too old."""
        await self.outage(bench)
        bench.pass_time(29.0)
        assert (await bench.resolve()).state == TROUBLE

    async def test_a_token_that_is_not_known_has_none(self, bench: Bench) -> None:
        """Nobody is let in because of an outage."""
        await self.outage(bench)
        assert (await bench.resolve("other")).state == TROUBLE

    async def test_what_the_server_says_holds(self, bench: Bench) -> None:
        """An inactive token is inactive."""
        await self.outage(bench)
        bench.main.state = Inactive()
        assert (await bench.resolve()).state == Inactive()
        bench.main.state = TROUBLE
        assert (await bench.resolve()).state != active()

    async def test_a_caller_without_patience_has_it_too(self, bench: Bench) -> None:
        """A slow server is no better than one that is away."""
        await self.outage(bench)
        bench.main.gated = True
        answer = await bench.resolver.resolve("main", Token("t"), Terms(patience=0.001))
        assert (answer.state, answer.level) == (active(), "stale")
        await bench.resolver.close()

    async def test_a_revocation_in_an_outage_ends_it(self, bench: Bench) -> None:
        """Then nobody can say whether the token is good."""
        await self.outage(bench)
        bench.revocations.take(ALL)
        assert (await bench.resolve()).state == TROUBLE


class TestRevocation:
    """A notice that comes while the server is being asked."""

    def revoke(self, bench: Bench) -> None:
        bench.revocations.take(ALL)

    async def test_the_question_is_asked_again(self, bench: Bench) -> None:
        """Nobody can tell whether the server looked at the token before or after it was revoked."""
        bench.main.gated = True
        request = bench.begin()
        await settle()
        self.revoke(bench)
        bench.main.state = Inactive()
        bench.main.gates[0].set()
        await settle()
        bench.main.gates[1].set()
        assert (await request).state == Inactive()
        assert bench.main.asked == ["t", "t"]

    async def test_a_notice_about_somebody_else_changes_nothing(self, bench: Bench) -> None:
        """One question is enough then."""
        bench.main.gated = True
        request = bench.begin()
        await settle()
        bench.revocations.take(Notice(Kind.SUB, "somebody else"))
        bench.main.gates[0].set()
        assert (await request).state == active()
        assert (await bench.resolve()).level == "memory"

    async def test_whoever_comes_after_it_has_no_older_answer(self, bench: Bench) -> None:
        """Also when the flight that is boarded left before the notice."""
        bench.main.gated = True
        early = bench.begin()
        await settle()
        self.revoke(bench)
        bench.main.state = Inactive()
        late = bench.begin()
        await settle()
        for number in range(2):
            bench.main.gates[number].set()
            await settle()
        assert [(await early).state, (await late).state] == [Inactive(), Inactive()]

    async def test_notices_without_end_end_in_trouble(self, bench: Bench) -> None:
        """Three questions, then no verdict; nothing is kept."""
        bench.main.gated = True
        request = bench.begin()
        for number in range(3):
            await settle()
            self.revoke(bench)
            bench.main.gates[number].set()
        assert isinstance((await request).state, Unavailable)
        assert len(bench.main.asked) == 3
        bench.main.gated = False
        assert (await bench.resolve()).level == "server"


class TestEvents:
    """One for each question, none for what was found in memory."""

    @pytest.mark.parametrize(
        ("state", "outcome", "detail"),
        [
            (active(), "active", ""),
            (Inactive(), "inactive", ""),
            (Inactive(reason=Reason.WRONG_ISSUER), "inactive", ""),
            (TROUBLE, "server_timeout", TROUBLE.detail),
        ],
    )
    async def test_it_names_server_outcome_and_time(
        self, bench: Bench, state: TokenState, outcome: str, detail: str
    ) -> None:
        """The token is not in it."""
        bench.main.state, bench.main.takes = state, 0.25
        await bench.resolve()
        expected = Introspected(server="main", outcome=outcome, took_seconds=0.25, detail=detail)
        assert bench.observer.introspections == [expected]

    async def test_shared_questions_and_hits_are_told_once(self, bench: Bench) -> None:
        """Metrics count what the server has to bear."""
        await asyncio.gather(*(bench.resolve() for _ in range(50)))
        await bench.resolve()
        assert len(bench.observer.introspections) == 1


class TestCancellation:
    """A caller that goes away."""

    @pytest.mark.shows("E63")
    async def test_does_not_disturb_the_others(self, bench: Bench) -> None:
        """The first one, whose request started the question, least of all."""
        bench.main.gated = True
        first, second = bench.begin(), bench.begin()
        await settle()
        first.cancel()
        await settle()
        bench.main.gates[0].set()
        assert (await second).state == active()
        assert first.cancelled()
        assert bench.main.asked == ["t"]

    async def test_leaves_its_answer_to_the_cache(self, bench: Bench) -> None:
        """The question was asked; its answer is not thrown away."""
        bench.main.gated = True
        request = bench.begin()
        await settle()
        request.cancel()
        await settle()
        bench.main.gates[0].set()
        await settle()
        assert (await bench.resolve()).level == "memory"
        assert len(bench.observer.introspections) == 1


async def test_closing_ends_questions_and_connections(bench: Bench) -> None:
    """Nobody is left waiting."""
    bench.main.gated = True
    request = bench.begin()
    await settle()
    await bench.resolver.close()
    assert (bench.main.closed, bench.other.closed) == (True, True)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(request, 30)


async def test_among_several_servers_the_token_chooses_one(bench: Bench) -> None:
    """The other one never sees it, and one that belongs to none is refused without a question."""
    assert (await bench.resolve("m1", server="main other")).state == active()
    assert (await bench.resolve("x1", server="main other")).state == Inactive()
    assert (bench.main.asked, bench.other.asked) == (["m1"], ["x1"])
    refused = await bench.resolve(JWT, server="main other")
    assert (refused.state, refused.level) == (Inactive(), "refused")
    assert (bench.main.asked, bench.other.asked) == (["m1"], ["x1"])


async def test_what_is_known_is_found_by_the_same_choice(bench: Bench) -> None:
    """The cache is that of the server alone or among others."""
    await bench.resolve("m1")
    known = bench.resolver.known("main other", Token("m1"), None)
    assert known is not None
    assert (known.state, known.level) == (active(), "memory")
    assert bench.resolver.known("main other", Token(JWT), None) is None


class TestTime:
    """How long the server took is told to the caller for whom it was asked."""

    async def test_it_is_told_with_the_answer(self, bench: Bench) -> None:
        """Not with the answer that is remembered, nor to whoever joined in."""
        bench.main.takes, bench.main.gated = 0.25, True
        callers = [bench.begin(), bench.begin()]
        await settle()
        bench.main.gates[0].set()
        first, second = await asyncio.gather(*callers)
        assert (first.level, first.took_seconds) == ("server", 0.25)
        assert (second.level, second.took_seconds) == ("joined", 0.0)
        assert (await bench.resolve()).took_seconds == 0.0

    async def test_it_is_told_with_the_old_answer_too(self) -> None:
        """The question was asked, if in vain."""
        bench = Bench(stale_if_error=60.0)
        await bench.resolve()
        bench.pass_time(61.0)
        bench.main.state, bench.main.takes = TROUBLE, 0.5
        known = await bench.resolve()
        assert (known.level, known.took_seconds) == ("stale", 0.5)
