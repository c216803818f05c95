"""Where a server is asked is found out in the background, kept through outages, and followed when it changes."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from extauthz.core.decision import Reason
from extauthz.core.introspection import MAX_ANSWER_BYTES, Unavailable
from extauthz.observe.events import Happening
from extauthz.resolver.discovery import FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS, REFRESH_SECONDS, Discovery
from extauthz.resolver.metadata import Expected, Metadata
from extauthz.resolver.transport import Transport
from extauthz.testing import RecordingObserver

ISSUER = "https://as.example.com/t1"
OAUTH = "https://as.example.com/.well-known/oauth-authorization-server/t1"
OPENID_INSERTED = "https://as.example.com/.well-known/openid-configuration/t1"
OPENID = "https://as.example.com/t1/.well-known/openid-configuration"
NEEDED = ("introspection_endpoint",)
pytestmark = pytest.mark.shows("S65")


def document(**members: Any) -> httpx.Response:  # noqa: ANN401 - any JSON value
    body = json.dumps({"issuer": ISSUER, "introspection_endpoint": f"{ISSUER}/introspect", **members})
    return httpx.Response(200, stream=httpx.ByteStream(body.encode()))


class Bench:
    """A server with documents, and whoever looks for them."""

    def __init__(self, configured: Metadata | None = None, needed: tuple[str, ...] = NEEDED) -> None:
        self.documents: dict[str, httpx.Response | Exception] = {}
        self.asked: list[str] = []
        self.slept: list[float] = []
        self.observer = RecordingObserver()
        self.rounds = 1
        self.discovery = Discovery(
            "main",
            Expected(issuer=ISSUER, needed=needed),
            configured or Metadata(),
            Transport(wire=lambda _: httpx.MockTransport(self.answer)),
            observer=self.observer,
            random=lambda: 0.5,
            sleep=self.sleep,
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        found = self.documents.get(str(request.url), httpx.Response(404, stream=httpx.ByteStream(b"")))
        if isinstance(found, Exception):
            raise found
        return found

    async def sleep(self, seconds: float) -> None:
        """End the run after some rounds."""
        self.slept.append(seconds)
        if len(self.slept) == self.rounds:
            raise asyncio.CancelledError

    async def run(self, rounds: int = 1) -> None:
        self.rounds = len(self.slept) + rounds
        with pytest.raises(asyncio.CancelledError):
            await self.discovery.run()

    @property
    def told(self) -> list[tuple[Happening, str]]:
        return [(event.what, event.detail) for event in self.observer.happenings]

    def endpoint(self) -> str:
        known = self.discovery()
        assert isinstance(known, Metadata)
        return known.introspection_endpoint


async def test_the_first_place_that_has_it_is_taken() -> None:
    """In the order of the standards, and no further."""
    for place, asked in (
        (OAUTH, [OAUTH]),
        (OPENID_INSERTED, [OAUTH, OPENID_INSERTED]),
        (OPENID, [OAUTH, OPENID_INSERTED, OPENID]),
    ):
        bench = Bench()
        bench.documents[place] = document()
        await bench.run()
        assert bench.asked == asked
        assert bench.endpoint() == f"{ISSUER}/introspect"
        assert bench.told == [(Happening.DISCOVERED, f"{ISSUER}/introspect")]


async def test_until_it_is_known_the_server_cannot_be_asked() -> None:
    """And that says so, with what was the matter."""
    bench = Bench()
    first = bench.discovery()
    assert isinstance(first, Unavailable)
    assert first.reason is Reason.SERVER_UNREACHABLE
    bench.documents[OAUTH] = httpx.ConnectError("refused")
    await bench.run()
    known = bench.discovery()
    assert isinstance(known, Unavailable)
    assert "ConnectError" in known.detail
    assert bench.told[0][0] is Happening.DISCOVERY_FAILED


async def test_a_failed_first_try_is_not_for_ever() -> None:
    """It is tried again soon, then ever later, until it succeeds."""
    bench = Bench()
    await bench.run(9)
    assert bench.slept[:3] == [FIRST_RETRY_SECONDS * factor * 0.75 for factor in (1, 2, 4)]
    assert not bench.discovery.found.is_set()
    assert max(bench.slept) == LAST_RETRY_SECONDS * 0.75
    bench.documents[OAUTH] = document()
    await bench.run(1)
    assert bench.endpoint() == f"{ISSUER}/introspect"
    assert bench.discovery.found.is_set()
    assert bench.slept[-1] == REFRESH_SECONDS


async def test_what_is_configured_wins_and_needs_no_waiting() -> None:
    """An explicit endpoint is used from the start; the metadata only adds to it."""
    bench = Bench(Metadata(introspection_endpoint="https://proxy/introspect"), needed=())
    assert bench.endpoint() == "https://proxy/introspect"
    assert bench.discovery.found.is_set()
    await bench.run()
    assert bench.endpoint() == "https://proxy/introspect"
    bench.documents[OAUTH] = document(introspection_endpoint_auth_methods_supported=["client_secret_post"])
    await bench.run()
    known = bench.discovery()
    assert known == Metadata(introspection_endpoint="https://proxy/introspect", auth_methods=("client_secret_post",))


async def test_what_was_known_stays_known() -> None:
    """An outage of the metadata is none of the server."""
    bench = Bench()
    bench.documents[OAUTH] = document()
    await bench.run()
    bench.documents.clear()
    await bench.run()
    assert bench.endpoint() == f"{ISSUER}/introspect"
    assert bench.told[-1][0] is Happening.DISCOVERY_FAILED


async def test_a_change_is_followed_and_told_once() -> None:
    """The same document again is no news."""
    bench = Bench()
    bench.documents[OAUTH] = document()
    await bench.run()
    bench.documents[OAUTH] = document()
    await bench.run()
    bench.documents[OAUTH] = document(introspection_endpoint=f"{ISSUER}/v2")
    await bench.run()
    assert bench.endpoint() == f"{ISSUER}/v2"
    assert bench.told == [(Happening.DISCOVERED, f"{ISSUER}/introspect"), (Happening.DISCOVERED, f"{ISSUER}/v2")]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (document(issuer=f"{ISSUER}/"), "another issuer"),
        (document(introspection_endpoint="http://as.example.com/x"), "no https URL"),
        (document(introspection_endpoint=None, token_introspection_endpoint="https://x/"), "its old name"),
        (httpx.Response(200, stream=httpx.ByteStream(b"<html>")), "not JSON"),
        (httpx.Response(200, stream=httpx.ByteStream(b" " * (MAX_ANSWER_BYTES + 1))), "not JSON"),
        (httpx.Response(302, headers={"location": OAUTH}, stream=httpx.ByteStream(b"")), "status 302"),
        (httpx.Response(503, stream=httpx.ByteStream(b"")), "status 503"),
    ],
)
async def test_a_document_that_cannot_be_used_is_named(found: httpx.Response, words: str) -> None:
    """It tells the operator more than the places where there is none."""
    bench = Bench()
    bench.documents[OAUTH] = found
    await bench.run()
    ((what, detail),) = bench.told
    assert (what, words in detail) == (Happening.DISCOVERY_FAILED, True)
    assert OAUTH in detail
