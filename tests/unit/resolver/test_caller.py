"""Who asks: where, with what credentials, and once more if those were just changed."""

import httpx
import pytest

from extauthz.core.decision import Reason
from extauthz.core.introspection import Answer, Unavailable
from extauthz.resolver.caller import Caller, configured
from extauthz.resolver.client_auth import ClientAuthenticator, Credentials
from extauthz.resolver.metadata import Metadata
from extauthz.resolver.transport import Transport

SERVER = Metadata(introspection_endpoint="https://as.example.com/introspect", token_endpoint="https://as.example.com/t")
UNKNOWN = Unavailable(reason=Reason.SERVER_UNREACHABLE, detail="not discovered yet")


class StubAuth(ClientAuthenticator):
    """Sends a number that grows with every renewal."""

    def __init__(self, *, renewals: int = 0, trouble: Unavailable | None = None) -> None:
        self.left = renewals
        self.number = 0
        self.trouble = trouble
        self.closed = False

    async def credentials(self, server: Metadata) -> Credentials | Unavailable:
        return self.trouble or Credentials(authorization=f"Basic {self.number}", form="&more=1")

    def renew(self) -> bool:
        self.left -= 1
        self.number += 1
        return self.left >= 0

    async def close(self) -> None:
        self.closed = True


class Bench:
    """A caller, and the requests that it makes."""

    def __init__(self, auth: StubAuth, *statuses: int) -> None:
        self.requests: list[httpx.Request] = []
        self.statuses = iter(statuses)
        self.transport = Transport(wire=lambda _: httpx.MockTransport(self.answer))
        self.caller = Caller(self.transport, auth, configured(SERVER))

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(next(self.statuses), stream=httpx.ByteStream(b"{}"))

    @property
    def sent(self) -> list[str]:
        return [request.headers["authorization"] for request in self.requests]


async def status_of(answer: Answer | Unavailable) -> int:
    assert isinstance(answer, Answer)
    return answer.status


async def test_a_form_goes_to_the_introspection_endpoint_with_our_credentials() -> None:
    """In the header and in the form, as the authenticator has them."""
    bench = Bench(StubAuth(), 200)
    assert await status_of(await bench.caller.post("token=t")) == 200
    (request,) = bench.requests
    assert (str(request.url), request.content) == (SERVER.introspection_endpoint, b"token=t&more=1")
    assert bench.sent == ["Basic 0"]


async def test_another_endpoint_can_be_named() -> None:
    """For other questions to the same server, whose answers may be longer."""
    bench = Bench(StubAuth(), 200)
    caller = Caller(
        bench.transport,
        StubAuth(),
        configured(SERVER),
        endpoint=lambda server: server.token_endpoint,
        max_answer_bytes=1,
    )
    answer = await caller.post("a=b")
    assert isinstance(answer, Answer)
    assert (str(bench.requests[0].url), answer.body) == (SERVER.token_endpoint, b"{}")


@pytest.mark.parametrize(
    ("statuses", "renewals", "sent", "status"),
    [
        ((401, 200), 1, ["Basic 0", "Basic 1"], 200),
        ((401,), 0, ["Basic 0"], 401),
        ((401, 401), 9, ["Basic 0", "Basic 1"], 401),
        ((403,), 1, ["Basic 0"], 403),
        ((500,), 1, ["Basic 0"], 500),
    ],
    ids=["changed", "not changed", "changed and refused again", "403", "500"],
)
@pytest.mark.shows("S64")
async def test_who_is_refused_tries_once_what_is_new(
    statuses: tuple[int, ...], renewals: int, sent: list[str], status: int
) -> None:
    """A secret that is rotated fails nobody; a wrong one is not sent again and again."""
    bench = Bench(StubAuth(renewals=renewals), *statuses)
    assert await status_of(await bench.caller.post("token=t")) == status
    assert bench.sent == sent


async def test_without_credentials_nothing_is_asked() -> None:
    """The trouble is told as it is."""
    bench = Bench(StubAuth(trouble=UNKNOWN))
    assert await bench.caller.post("token=t") is UNKNOWN
    assert bench.requests == []


async def test_a_server_that_is_not_known_yet_is_not_asked() -> None:
    """Its metadata has not arrived."""
    bench = Bench(StubAuth(), 200)
    caller = Caller(bench.transport, StubAuth(), lambda: UNKNOWN)
    assert await caller.post("token=t") is UNKNOWN
    assert bench.requests == []


async def test_closing_it_closes_what_it_uses() -> None:
    """The authenticator may have a request of its own on its way."""
    auth = StubAuth()
    await Bench(auth).caller.close()
    assert auth.closed
