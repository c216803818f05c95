"""A JWT's own word: how far it goes, and where the server's word ends it."""

import asyncio
from base64 import urlsafe_b64decode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Inactive, Resolution, TokenState, Unavailable
from extauthz.core.terms import Terms
from extauthz.core.token import Token
from extauthz.jwk_set import KeySet, read_jwks
from extauthz.observe.events import Happening
from extauthz.resolver.cache import TokenCache, token_hash
from extauthz.resolver.chain import Resolver, Source
from extauthz.resolver.hybrid import Comparing, HybridSettings, JwtOnly, JwtThenIntrospect, Local
from extauthz.resolver.jwt import JwtJudge, JwtSettings
from extauthz.resolver.jwt_verifier import JwtVerifier
from extauthz.resolver.revocation import ALL, Kind, Notice, Revocations
from extauthz.resolver.revocation_feed import RevocationFeed
from extauthz.resolver.sealing import Keys
from extauthz.resolver.settings import ServerSettings
from extauthz.testing import RecordingObserver, TickingClock, active
from support.tokens import ISSUER, NOW, b64, jwk, jwks, minted

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
KEY = ec.generate_private_key(ec.SECP256R1())
SETTINGS = ServerSettings(name="main", client_id="gateway", issuer=ISSUER, ttl=60.0, negative_ttl=10.0)
GOOD = minted(KEY)
FORGED = minted(ec.generate_private_key(ec.SECP256R1()))
SAID = active(iss=ISSUER, sub="user-1", client_id="app", jti="a1", exp=float(NOW + 300))
TROUBLE = Unavailable(reason=Reason.SERVER_TIMEOUT, detail="no answer")


def with_other_signature(token: str) -> str:
    signed, _, signature = token.rpartition(".")
    raw = urlsafe_b64decode(signature + "==")
    s = P256_ORDER - int.from_bytes(raw[32:])
    return f"{signed}.{b64(raw[:32] + s.to_bytes(32))}"


class StubKeys:
    """Keys that may change or be missing."""

    def __init__(self) -> None:
        self.now: KeySet | Unavailable = read_jwks(jwks(jwk(KEY)))
        self.after: KeySet | Unavailable = self.now
        self.looks = 0
        self.gate: asyncio.Event | None = None

    async def current(self) -> KeySet | Unavailable:
        if self.gate is not None:
            await self.gate.wait()
        return self.now

    async def renewed(self) -> KeySet | Unavailable:
        self.looks += 1
        self.now = self.after
        return self.now

    async def close(self) -> None:
        self.looks = -1


class StubServer:
    """A server that answers when it is let go."""

    def __init__(self) -> None:
        self.state: TokenState = SAID
        self.asked: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def ask(self, token: Token, /) -> TokenState:
        self.asked.append(token.reveal())
        await self.gate.wait()
        return self.state

    async def close(self) -> None:
        self.gate.set()


class Bench:
    """A resolver with one server, in one of the modes."""

    def __init__(self, mode: str = "jwt_then_introspect", max_local_age: float = 0.0) -> None:
        self.monotonic = TickingClock(1000.0)
        self.wall = TickingClock(NOW)
        self.observer = RecordingObserver()
        self.server = StubServer()
        self.keys = StubKeys()
        self.cache = TokenCache(SETTINGS, secret=b"k" * 32, monotonic=self.monotonic, wall=self.wall)
        judge = JwtJudge(JwtSettings(issuer=ISSUER))
        self.verifier = JwtVerifier(judge, self.keys, wall=self.wall, patience=0.05)
        local: Local
        if mode == "jwt":
            local = JwtOnly(self.verifier, self.cache, monotonic=self.monotonic)
            source = Source(name="main", cache=self.cache, client=self.verifier, local=local)
        else:
            how = HybridSettings(max_entries=100, max_local_age=max_local_age)
            local = JwtThenIntrospect(self.verifier, self.cache, how, monotonic=self.monotonic, wall=self.wall)
            client = Comparing(self.server, self.verifier, server="main", observer=self.observer)
            source = Source(name="main", cache=self.cache, client=client, local=local)
        self.resolver = Resolver([source], observer=self.observer, monotonic=self.monotonic)

    async def resolve(
        self, token: str = GOOD, max_age: float | None = None, patience: float | None = None
    ) -> Resolution:
        known = self.resolver.known("main", Token(token), max_age)
        return (
            known
            if known is not None
            else await self.resolver.resolve("main", Token(token), Terms(max_age, patience=patience))
        )

    def pass_time(self, seconds: float) -> None:
        self.monotonic.advance(seconds)
        self.wall.advance(seconds)

    def revoke(self, notice: Notice | None = None) -> None:
        """A notice of revocation arrives, by default about the token."""
        self.cache.revocations.take(notice or Notice(Kind.TOKEN, token_hash(self.cache.key(Token(GOOD)))))

    async def settle(self) -> None:
        """Let what runs in the background run."""
        for _ in range(20):
            await asyncio.sleep(0)


async def how(bench: Bench, **asked: Any) -> tuple[type[TokenState], str]:  # noqa: ANN401 - as `resolve` takes them
    """The kind of the answer, and where it came from."""
    resolution = await bench.resolve(**asked)
    return type(resolution.state), resolution.level


class TestThenIntrospect:
    """First the token's word, then the server's."""

    async def test_a_notice_under_a_key_that_came_before_is_obeyed(self) -> None:
        """The server is waited for, as after any notice about the token."""
        bench = Bench()
        bench.revoke()
        bench.cache.rotate(b"n" * 32, [b"k" * 32])
        assert await how(bench) == (Active, "server")

    async def test_a_good_token_passes_at_once_and_the_server_is_asked(self) -> None:
        """However many requests come meanwhile, it is one question."""
        bench = Bench()
        bench.server.gate.clear()
        for _ in range(5):
            resolution = await bench.resolve()
            assert isinstance(resolution.state, Active)
            assert (resolution.level, resolution.state.sub) == ("jwt", "user-1")
        await bench.settle()
        assert bench.server.asked == [GOOD]
        bench.server.gate.set()
        await bench.settle()
        assert await how(bench) == (Active, "memory")
        assert (await bench.resolve()).state == SAID
        assert bench.server.asked == [GOOD]

    @pytest.mark.shows("S73")
    async def test_the_server_s_inactive_wins(self) -> None:
        """For good: when its answer has grown old, the next one is waited for."""
        bench = Bench()
        bench.server.state = Inactive()
        assert await how(bench) == (Active, "jwt")
        await bench.settle()
        assert await how(bench) == (Inactive, "memory")
        for _ in range(3):
            bench.pass_time(11)
            assert await how(bench) == (Inactive, "server")
        bench.server.state = SAID
        bench.pass_time(11)
        assert await how(bench) == (Active, "server")

    @pytest.mark.shows("S73")
    async def test_a_bad_token_is_refused_without_a_question(self) -> None:
        """Neither the server nor a cache that others share ever hears of it."""
        bench = Bench()
        for token in (FORGED, minted(KEY, claims={"exp": NOW - 300}), minted(KEY, claims={"iss": "https://evil"})):
            assert await how(bench, token=token) == (Inactive, "jwt")
            assert await how(bench, token=token, max_age=0) == (Inactive, "jwt")
        await bench.settle()
        assert bench.server.asked == []

    async def test_the_server_is_asked_again_in_the_background(self) -> None:
        """When its answer has grown old, nobody waits for the next one."""
        bench = Bench()
        await bench.resolve()
        await bench.settle()
        bench.pass_time(60)
        bench.server.gate.clear()
        assert await how(bench) == (Active, "jwt")
        await bench.settle()
        assert bench.server.asked == [GOOD, GOOD]
        bench.server.state = Inactive()
        bench.server.gate.set()
        await bench.settle()
        assert await how(bench) == (Inactive, "memory")

    @pytest.mark.parametrize("max_age", [0, 5])
    async def test_a_route_with_a_freshness_of_its_own_waits_for_the_server(self, max_age: float) -> None:
        """A signature is as old as the token."""
        bench = Bench()
        bench.server.state = Inactive()
        assert await how(bench, max_age=max_age) == (Inactive, "server")
        bench = Bench()
        bench.server.gate.clear()
        assert await how(bench) == (Active, "jwt")
        waiting = asyncio.create_task(how(bench, max_age=max_age))
        await bench.settle()
        assert not waiting.done()
        bench.server.state = Inactive()
        bench.server.gate.set()
        assert (await waiting)[0] is Inactive

    async def test_an_opaque_token_goes_to_the_server(self) -> None:
        """There is nothing that it says for itself."""
        bench = Bench()
        assert await how(bench, token="opaque") == (Active, "server")
        assert bench.server.asked == ["opaque"]

    async def test_a_notice_of_revocation_is_waited_out(self) -> None:
        """The token's word counts again only after the server has been asked since."""
        for notice in (None, ALL):
            bench = Bench()
            await bench.resolve()
            await bench.settle()
            bench.revoke(notice)
            bench.server.state = Inactive()
            assert await how(bench) == (Inactive, "server")
            bench.server.state = SAID
            bench.pass_time(11)
            assert await how(bench) == (Active, "server")
            bench.pass_time(60)
            assert await how(bench) == (Active, "jwt")

    async def test_a_notice_that_comes_while_the_server_is_asked_is_heard(self) -> None:
        """The token's word ends at once, not when the answer is there."""
        bench = Bench()
        bench.server.gate.clear()
        assert await how(bench) == (Active, "jwt")
        bench.revoke()
        waiting = asyncio.create_task(how(bench))
        await bench.settle()
        assert not waiting.done()
        bench.server.state = Inactive()
        bench.server.gate.set()
        assert (await waiting)[0] is Inactive

    async def test_without_keys_there_is_no_verdict(self) -> None:
        """Both must say yes; and nobody waits for keys for ever."""
        bench = Bench()
        bench.keys.now = TROUBLE
        assert await how(bench) == (Unavailable, "jwt")
        bench.keys.gate = asyncio.Event()
        assert await how(bench) == (Unavailable, "jwt")

    async def test_closing_it_ends_the_questions_in_the_background(self) -> None:
        """Nothing is left running."""
        bench = Bench()
        bench.server.gate.clear()
        await bench.resolve()
        await bench.settle()
        await bench.resolver.close()
        assert len(asyncio.all_tasks()) == 1


@pytest.mark.shows("S73")
class TestComparing:
    """The server must speak of the same token."""

    @pytest.mark.parametrize(
        "member", [{"sub": "user-2"}, {"client_id": "other"}, {"iss": f"{ISSUER}/"}, {"jti": "a2"}]
    )
    async def test_a_server_that_says_something_else_is_not_believed(self, member: dict[str, Any]) -> None:
        """The token is refused, and the operator is told which claim it was and nothing of it."""
        bench = Bench()
        said: dict[str, Any] = {"iss": ISSUER, "sub": "user-1", "client_id": "app", "jti": "a1"}
        bench.server.state = active(**(said | member))
        assert await how(bench, max_age=0) == (Inactive, "server")
        (event,) = bench.observer.happenings
        assert (event.what, event.subject, event.detail) == (Happening.CLAIM_MISMATCH, "main", *member)

    async def test_what_the_server_does_not_say_differs_from_nothing(self) -> None:
        """Many members are optional."""
        bench = Bench()
        bench.server.state = Active(scopes=frozenset({"a"}), scope="a")
        assert await how(bench, max_age=0) == (Active, "server")

    async def test_scopes_are_the_server_s(self) -> None:
        """It may have narrowed them for us."""
        bench = Bench()
        bench.server.state = active(scope="other", sub="user-1")
        resolution = await bench.resolve(max_age=0)
        assert isinstance(resolution.state, Active)
        assert resolution.state.scopes == {"other"}


@pytest.mark.shows("S74")
class TestOutage:
    """A server that cannot be asked."""

    async def test_by_default_nothing_passes_on_its_own_word(self) -> None:
        """One request may, before the outage is known; from then on the server's word is waited for."""
        bench = Bench()
        bench.server.state = TROUBLE
        assert await how(bench) == (Active, "jwt")
        await bench.settle()
        assert await how(bench) == (Unavailable, "server")
        assert await how(bench, token=minted(KEY, claims={"jti": "a2"})) == (Unavailable, "server")
        bench.server.state = SAID
        assert await how(bench) == (Active, "server")
        bench.server.state = active()
        assert await how(bench, token=minted(KEY, claims={"jti": "a3"})) == (Active, "jwt")

    @pytest.mark.parametrize(("age", "passes"), [(299, True), (300, False)])
    async def test_by_option_a_young_token_does(self, age: int, passes: bool) -> None:
        """Young by its own `iat`, so that a revoked one ends at the latest with that age."""
        bench = Bench(max_local_age=300)
        bench.server.state = TROUBLE
        token = minted(KEY, claims={"iat": NOW - age})
        for max_age in (0, 5):
            got = await how(bench, token=token, max_age=max_age)
            assert got == ((Active, "jwt") if passes else (Unavailable, "server"))

    async def test_a_token_that_does_not_say_its_age_is_old(self) -> None:
        """Nothing bounds how long ago it was issued."""
        bench = Bench(max_local_age=300)
        bench.server.state = TROUBLE
        assert await how(bench, token=minted(KEY, claims={"iat": ...}), max_age=0) == (Unavailable, "server")

    async def test_a_refused_token_stays_refused(self) -> None:
        """An outage does not make it good again."""
        bench = Bench(max_local_age=300)
        bench.server.state = Inactive()
        await bench.resolve(max_age=0)
        bench.server.state = TROUBLE
        bench.pass_time(11)
        assert await how(bench) == (Unavailable, "server")

    async def test_who_has_no_patience_gets_the_token_s_word_too(self) -> None:
        """A slow server is one that cannot be asked."""
        bench = Bench(max_local_age=300)
        bench.server.gate.clear()
        assert await how(bench, max_age=0, patience=0.01) == (Active, "jwt")


class TestJwtOnly:
    """The signature is all."""

    async def test_a_good_token_passes_and_is_remembered(self) -> None:
        """Nobody is asked."""
        bench = Bench("jwt")
        assert await how(bench) == (Active, "jwt")
        assert await how(bench) == (Active, "memory")
        bench.pass_time(60)
        assert await how(bench) == (Active, "jwt")
        bench.pass_time(301)
        assert await how(bench) == (Inactive, "jwt")
        assert bench.observer.introspections == []

    @pytest.mark.parametrize("token", [FORGED, "opaque", minted(KEY, claims={"aud": ...})])
    async def test_anything_else_is_refused(self, token: str) -> None:
        """Opaque tokens too: there is nobody to ask."""
        assert await how(Bench("jwt"), token=token) == (Inactive, "jwt")

    async def test_an_unknown_key_is_looked_for_once(self) -> None:
        """A rotated one is found, a made-up one is not."""
        bench = Bench("jwt")
        new = ec.generate_private_key(ec.SECP256R1())
        bench.keys.after = read_jwks(jwks(jwk(KEY), jwk(new, kid="k2")))
        assert await how(bench, token=minted(new, header={"kid": "k2"})) == (Active, "jwt")
        assert await how(bench, token=minted(new, header={"kid": "k3"})) == (Inactive, "jwt")
        assert bench.keys.looks == 2

    @pytest.mark.parametrize("kind", [Kind.TOKEN, Kind.JTI])
    async def test_a_notice_that_names_the_token_is_obeyed(self, kind: Kind) -> None:
        """There is no server that could be asked anew."""
        bench = Bench("jwt")
        await bench.resolve()
        (hash_claim,) = bench.cache.revocations._hash_claims  # noqa: SLF001 - as a notice has it
        name = token_hash(bench.cache.key(Token(GOOD))) if kind is Kind.TOKEN else hash_claim(Kind.JTI, "a1")
        bench.revoke(Notice(kind, name))
        assert await how(bench) == (Inactive, "jwt")
        assert await how(bench, token=minted(KEY, claims={"jti": "a2"})) == (Active, "jwt")

    async def test_a_notice_under_a_key_that_came_before_is_obeyed(self) -> None:
        """A change of keys does not make a revoked token good again."""
        bench = Bench("jwt")
        bench.revoke()
        bench.cache.rotate(b"n" * 32, [b"k" * 32])
        assert await how(bench) == (Inactive, "jwt")
        bench.cache.rotate(b"n" * 32, [])
        assert await how(bench) == (Active, "jwt")

    @pytest.mark.parametrize("used", [False, True])
    async def test_a_revoked_token_does_not_come_back_with_another_signature(self, used: bool) -> None:
        """Of an ECDSA signature anybody can make a second one that is as good (FIPS 186-5 §6.4: s and n - s)."""
        bench = Bench("jwt")
        keys = Keys.derive(b"k" * 32)
        table = bench.cache.revocations = Revocations(keys.name_hash)
        feed = RevocationFeed(table, None, keyring=[keys], observer=bench.observer, monotonic=bench.monotonic)
        twin = with_other_signature(GOOD)
        assert not used or await how(bench, token=twin) == (Active, "jwt")
        await feed.revoke([(Kind.TOKEN, GOOD)])
        assert await how(bench, token=twin) == (Inactive, "jwt")

    async def test_a_notice_about_all_only_forgets(self) -> None:
        """A signature is as good as before."""
        bench = Bench("jwt")
        await bench.resolve()
        bench.revoke(ALL)
        assert await how(bench) == (Active, "jwt")

    async def test_trouble_with_the_keys_is_no_verdict(self) -> None:
        """It ends with the trouble."""
        bench = Bench("jwt")
        bench.keys.now = TROUBLE
        assert await how(bench) == (Unavailable, "jwt")
        bench.keys.now = bench.keys.after
        assert await how(bench) == (Active, "jwt")
