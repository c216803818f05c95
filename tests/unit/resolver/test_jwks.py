"""Keys are fetched seldom, and kept through outages."""

import asyncio

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from extauthz.core.decision import Reason
from extauthz.core.introspection import Unavailable
from extauthz.jwk_set import KeySet, read_jwks
from extauthz.observe.events import Happening
from extauthz.resolver.jwks import (
    MAX_AGE_SECONDS,
    MIN_SECONDS,
    REFRESH_SECONDS,
    RETRY_SECONDS,
    FetchedKeys,
    FileKeys,
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
