"""A token of our own: fetched once, kept, replaced before its end, and replaced once when it is refused."""

import asyncio
import json

import httpx
import pytest

from extauthz.core.decision import Reason
from extauthz.core.introspection import Answer, Unavailable
from extauthz.resolver.client_auth import Credentials, SecretAuth
from extauthz.resolver.client_token import ASSUMED_SECONDS, MIN_AGE_SECONDS, BearerAuth, Granted, read_grant
from extauthz.resolver.metadata import Metadata
from extauthz.resolver.transport import Transport
from extauthz.resolver.watched_file import Fixed
from extauthz.testing import TickingClock

SERVER = Metadata(token_endpoint="https://as.example.com/token")


class Bench:
    """A token endpoint, whose tokens are numbered, and whoever asks it."""

    def __init__(self, **members: object) -> None:
        self.members = members
        self.requests: list[httpx.Request] = []
        self.status = 200
        self.fault: Exception | None = None
        self.clock = TickingClock()
        self.auth = BearerAuth(
            SecretAuth("rs", Fixed("s3cret")),
            Transport(wire=lambda _: httpx.MockTransport(self.answer)),
            scope="introspection",
            monotonic=self.clock,
        )

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.fault is not None:
            raise self.fault
        members = {"access_token": f"t{len(self.requests)}", "token_type": "Bearer", "expires_in": 3600, **self.members}
        return httpx.Response(self.status, stream=httpx.ByteStream(json.dumps(members).encode()))

    async def sent(self) -> str:
        credentials = await self.auth.credentials(SERVER)
        assert isinstance(credentials, Credentials)
        assert credentials.form == ""
        return credentials.authorization

    async def trouble(self) -> Unavailable:
        credentials = await self.auth.credentials(SERVER)
        assert isinstance(credentials, Unavailable)
        return credentials


async def test_it_is_fetched_with_the_client_credentials_grant() -> None:
    """RFC 6749 §4.4, with the scope that is configured, and as the client that we are."""
    bench = Bench()
    assert await bench.sent() == "Bearer t1"
    (request,) = bench.requests
    assert (str(request.url), request.content) == (
        SERVER.token_endpoint,
        b"grant_type=client_credentials&scope=introspection",
    )
    assert request.headers["authorization"] == "Basic cnM6czNjcmV0"


@pytest.mark.parametrize(
    ("seconds", "last"), [(3600, 3569), (60, 47), (None, ASSUMED_SECONDS - 31), ("60", ASSUMED_SECONDS - 31)]
)
async def test_it_is_kept_until_shortly_before_its_end(seconds: object, last: float) -> None:
    """Questions in flight still use it; one without a known end is kept for five minutes."""
    bench = Bench(expires_in=seconds)
    await bench.sent()
    bench.clock.advance(last)
    assert await bench.sent() == "Bearer t1"
    bench.clock.advance(2)
    assert await bench.sent() == "Bearer t2"


async def test_many_at_once_share_one_request() -> None:
    """And one that gives up takes nobody with it."""
    bench = Bench()
    first = asyncio.create_task(bench.sent())
    others = [asyncio.create_task(bench.sent()) for _ in range(10)]
    await asyncio.sleep(0)
    first.cancel()
    assert await asyncio.gather(*others) == ["Bearer t1"] * 10
    assert len(bench.requests) == 1


async def test_a_refused_token_is_replaced_unless_it_is_brand_new() -> None:
    """A server that refuses every token is not asked for one with every question."""
    bench = Bench()
    await bench.sent()
    assert not bench.auth.renew()
    bench.clock.advance(MIN_AGE_SECONDS)
    assert bench.auth.renew()
    assert await bench.sent() == "Bearer t2"
    assert not bench.auth.renew()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, Reason.SERVER_REFUSED_US),
        (401, Reason.SERVER_REFUSED_US),
        (403, Reason.SERVER_REFUSED_US),
        (404, Reason.SERVER_ANSWER_INVALID),
        (302, Reason.SERVER_ANSWER_INVALID),
        (429, Reason.SERVER_BUSY),
        (503, Reason.SERVER_ERROR),
    ],
)
async def test_trouble_there_is_trouble_here(status: int, reason: Reason) -> None:
    """With a detail that names the token endpoint; the next question tries again."""
    bench = Bench()
    bench.status = status
    trouble = await bench.trouble()
    assert trouble.reason is reason
    assert "token endpoint" in trouble.detail
    bench.status = 200
    assert await bench.sent() == "Bearer t2"


async def test_a_network_in_trouble_is_named() -> None:
    """Nothing is raised."""
    bench = Bench()
    bench.fault = httpx.ConnectError("refused")
    assert (await bench.trouble()).reason is Reason.SERVER_UNREACHABLE


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"token_type":"Bearer"}',
        b'{"access_token":"a b","token_type":"Bearer"}',
        b'{"access_token":"a\\r\\nx: y","token_type":"Bearer"}',
        b'{"access_token":7,"token_type":"Bearer"}',
        b'{"access_token":"a","token_type":"DPoP"}',
        b'{"access_token":"a"}',
        b'{"access_token":"a","access_token":"b","token_type":"Bearer"}',
    ],
)
def test_an_answer_without_a_plain_token_is_refused(body: bytes) -> None:
    """What cannot stand in a header does not get there."""
    granted = read_grant(Answer(status=200, content_type="application/json", body=body))
    assert isinstance(granted, Unavailable)
    assert granted.reason is Reason.SERVER_ANSWER_INVALID


def test_a_token_does_not_print() -> None:
    """It opens the introspection endpoint."""
    body = b'{"access_token":"canary","token_type":"bearer","expires_in":1e300}'
    granted = read_grant(Answer(status=200, content_type="", body=body))
    assert isinstance(granted, Granted)
    assert "canary" not in repr(granted)
    assert granted.seconds == 86_400
