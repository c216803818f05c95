"""Keys are read with suspicion, fetched seldom, and kept through outages."""

import asyncio

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from extauthz.core.decision import Reason
from extauthz.core.introspection import Unavailable
from extauthz.core.strict_json import GarbageError
from extauthz.observe.events import Happening
from extauthz.resolver.jwks import (
    MAX_AGE_SECONDS,
    MAX_KEYS,
    MIN_SECONDS,
    REFRESH_SECONDS,
    RETRY_SECONDS,
    FetchedKeys,
    FileKeys,
    KeySet,
    read_jwks,
)
from extauthz.resolver.metadata import Metadata
from extauthz.resolver.transport import Transport
from extauthz.resolver.watched_file import Fixed
from extauthz.testing import RecordingObserver, TickingClock
from support.tokens import jwk, jwks

URL = "https://as.example.com/jwks"
P256 = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)


def kids(keys: KeySet | Unavailable) -> list[str]:
    assert isinstance(keys, KeySet)
    return [key.kid for key in keys.keys]


class TestReading:
    """One document of an issuer."""

    def test_keys_of_every_kind_are_read(self) -> None:
        """Each with the algorithms that it may be used with."""
        document = jwks(
            jwk(RSA, kid="rsa"),
            jwk(RSA, kid="ps", alg="PS256", use="sig", key_ops=["verify"]),
            jwk(P256, kid="ec"),
            jwk(ed25519.Ed25519PrivateKey.generate(), kid="ed"),
            jwk(ec.generate_private_key(ec.SECP384R1()), kid=..., x5c=["x"]),
        )
        found = [(key.kid, key.algorithms) for key in read_jwks(document).keys]
        assert found == [
            ("rsa", ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
            ("ps", ("PS256",)),
            ("ec", ("ES256",)),
            ("ed", ("EdDSA", "Ed25519")),
            ("", ("ES384",)),
        ]

    @pytest.mark.shows("S69")
    @pytest.mark.parametrize(
        "odd",
        [
            {"kty": "oct", "k": "c2VjcmV0", "kid": "k"},
            jwk(P256, use="enc"),
            jwk(P256, key_ops=["sign"]),
            jwk(P256, key_ops="verify"),
            jwk(P256, alg="ES384"),
            jwk(P256, alg="HS256"),
            jwk(P256, alg=["ES256"]),
            jwk(P256, kid=7),
            jwk(P256, d="AQAB"),
            jwk(P256, crv="P-384"),
            jwk(P256, x="AAAA"),
            jwk(P256, x=...),
            jwk(P256, kty="RSA"),
            jwk(P256, kty=...),
            jwk(rsa.generate_private_key(65537, 1024)),  # noqa: S505 - that is the point
            jwk(ec.generate_private_key(ec.SECP256K1())),
            {"kty": "OKP", "crv": "X25519", "x": "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"},
            {"kty": ["RSA"]},
            {},
            None,
            "key",
            [],
        ],
    )
    def test_a_key_that_cannot_verify_is_passed_over(self, odd: object) -> None:
        """A shared secret, a private key, one for encryption, one that is too weak, or none at all."""
        assert kids(read_jwks(jwks(odd, jwk(P256, kid="good")))) == ["good"]

    def test_a_document_is_read_no_further_than_it_makes_sense(self) -> None:
        """Nobody has so many keys."""
        document = jwks(*(jwk(P256, kid=str(number)) for number in range(MAX_KEYS + 10)))
        assert len(read_jwks(document).keys) == MAX_KEYS

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[],"keys":[]}', b"\xff"])
    def test_anything_else_is_no_set_of_keys(self, body: bytes) -> None:
        """Then the keys that we have stay."""
        with pytest.raises(GarbageError):
            read_jwks(body)


class Bench:
    """A server that publishes keys, and whoever wants them."""

    def __init__(self) -> None:
        self.body = jwks(jwk(P256))
        self.status = 200
        self.fault: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.fetches = 0
        self.clock = TickingClock()
        self.observer = RecordingObserver()
        self.server: Metadata | Unavailable = Metadata(jwks_uri=URL)
        self.keys = FetchedKeys(
            "main",
            lambda: self.server,
            Transport(wire=lambda _: httpx.MockTransport(self.answer)),
            observer=self.observer,
            monotonic=self.clock,
        )

    async def answer(self, request: httpx.Request) -> httpx.Response:
        assert str(request.url) == URL
        self.fetches += 1
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return httpx.Response(self.status, stream=httpx.ByteStream(self.body))

    async def current(self) -> list[str]:
        return kids(await self.keys.current())

    async def trouble(self) -> Unavailable:
        found = await self.keys.current()
        assert isinstance(found, Unavailable)
        return found

    async def settle(self) -> None:
        """Let what runs in the background run."""
        for _ in range(20):
            await asyncio.sleep(0)

    @property
    def told(self) -> list[Happening]:
        return [event.what for event in self.observer.happenings]


class TestFetching:
    """Seldom, and never because a token says so more often than every ten seconds."""

    async def test_keys_are_fetched_once_and_kept(self) -> None:
        """Also for many tokens at once."""
        bench = Bench()
        found = await asyncio.gather(*(bench.current() for _ in range(10)))
        assert found == [["k1"]] * 10
        assert bench.fetches == 1
        assert bench.told == [Happening.KEYS_REFRESHED]

    async def test_old_keys_are_used_while_new_ones_are_fetched(self) -> None:
        """Nobody waits for that."""
        bench = Bench()
        await bench.current()
        bench.clock.advance(REFRESH_SECONDS)
        bench.body = jwks(jwk(P256, kid="k2"))
        assert await bench.current() == ["k1"]
        await bench.settle()
        assert await bench.current() == ["k2"]
        assert bench.fetches == 2

    async def test_a_token_with_an_unknown_key_makes_us_look_once(self) -> None:
        """A new key is found; a flood of made-up ones costs one fetch in ten seconds."""
        bench = Bench()
        await bench.current()
        bench.clock.advance(MIN_SECONDS)
        bench.body = jwks(jwk(P256, kid="k2"))
        assert kids(await bench.keys.renewed()) == ["k2"]
        for _ in range(100):
            bench.clock.advance(MIN_SECONDS / 101)
            assert kids(await bench.keys.renewed()) == ["k2"]
        assert bench.fetches == 2
        bench.clock.advance(MIN_SECONDS)
        await asyncio.gather(*(bench.keys.renewed() for _ in range(10)))
        assert bench.fetches == 3

    async def test_known_keys_outlive_an_outage(self) -> None:
        """For a day; a token with an unknown key is then trouble and no bad token."""
        bench = Bench()
        await bench.current()
        bench.fault = httpx.ConnectError("refused")
        bench.clock.advance(REFRESH_SECONDS)
        await bench.current()
        await bench.settle()
        assert await bench.current() == ["k1"]
        unknown = await bench.keys.renewed()
        assert isinstance(unknown, Unavailable)
        assert bench.told == [Happening.KEYS_REFRESHED, Happening.KEYS_UNREACHABLE]
        bench.clock.advance(MAX_AGE_SECONDS)
        assert (await bench.trouble()).reason is Reason.SERVER_UNREACHABLE

    @pytest.mark.parametrize(
        ("status", "body", "reason"),
        [
            (404, b"", Reason.SERVER_ERROR),
            (302, b"", Reason.SERVER_ERROR),
            (200, b"<html>", Reason.SERVER_ANSWER_INVALID),
        ],
    )
    async def test_without_keys_there_is_no_verdict(self, status: int, body: bytes, reason: Reason) -> None:
        """It is tried again a second later, and not more often."""
        bench = Bench()
        bench.status, bench.body = status, body
        for _ in range(5):
            assert (await bench.trouble()).reason is reason
        assert bench.fetches == 1
        bench.status, bench.body = 200, jwks(jwk(P256))
        bench.clock.advance(RETRY_SECONDS)
        assert await bench.current() == ["k1"]

    async def test_a_document_that_is_none_leaves_the_keys(self) -> None:
        """A broken deployment of the server is not the end of its tokens."""
        bench = Bench()
        await bench.current()
        bench.body = b"<html>"
        bench.clock.advance(REFRESH_SECONDS)
        await bench.current()
        await bench.settle()
        assert await bench.current() == ["k1"]

    async def test_a_server_that_is_not_known_yet_is_no_failed_try(self) -> None:
        """Its keys are fetched as soon as it is."""
        bench = Bench()
        bench.server = Unavailable(reason=Reason.SERVER_UNREACHABLE, detail="not discovered")
        assert await bench.trouble() is bench.server
        bench.server = Metadata(jwks_uri=URL)
        assert await bench.current() == ["k1"]

    async def test_who_gives_up_disturbs_nobody(self) -> None:
        """The fetch goes on for the others."""
        bench = Bench()
        bench.gate = asyncio.Event()
        first = asyncio.create_task(bench.keys.current())
        second = asyncio.create_task(bench.current())
        await bench.settle()
        first.cancel()
        bench.gate.set()
        assert await second == ["k1"]

    async def test_closing_it_ends_a_fetch(self) -> None:
        """Nothing is left running."""
        bench = Bench()
        await bench.current()
        bench.gate = asyncio.Event()
        bench.clock.advance(REFRESH_SECONDS)
        await bench.current()
        await bench.settle()
        await bench.keys.close()
        assert len(asyncio.all_tasks()) == 1


class Rotated(Fixed[KeySet]):
    """A file that has just been changed."""

    looks = 0

    def look(self) -> bool:
        self.looks += 1
        return True


async def test_keys_in_a_file_are_looked_at_when_one_is_unknown() -> None:
    """It may just have been written."""
    file = Rotated(read_jwks(jwks(jwk(P256))))
    keys = FileKeys(file)
    assert kids(await keys.current()) == ["k1"]
    assert kids(await keys.renewed()) == ["k1"]
    assert file.looks == 1
    await keys.close()


def test_candidates_are_of_the_algorithm_and_of_the_name() -> None:
    """A key without a name may be meant by any."""
    keys = read_jwks(jwks(jwk(P256, kid="a"), jwk(P256, kid="b"), jwk(P256, kid=...), jwk(RSA, kid="a")))

    def names(kid: str | None, algorithm: str) -> list[str]:
        return [key.kid for key in keys.candidates(kid, algorithm)]

    assert names("a", "ES256") == ["a", ""]
    assert names("a", "RS256") == ["a"]
    assert names(None, "ES256") == ["a", "b", ""]
    assert names("c", "RS256") == []
