"""The question about many tokens, as it goes over the wire."""

import json
from dataclasses import replace

import httpx
import pytest

from extauthz.core.batch_answer import MAX_BATCH_ANSWER_BYTES
from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Inactive, TokenState, Unavailable
from extauthz.core.token import Token
from extauthz.observe.events import Happened, Happening
from extauthz.resolver.batch_client import BatchClient
from extauthz.resolver.settings import ClientAuth, ServerSettings
from extauthz.resolver.transport import Transport
from extauthz.testing import RecordingObserver
from support.asking import client_of, with_secret

SETTINGS = ServerSettings(
    name="main",
    introspection_endpoint="https://as.example.com/introspect/batch",
    client_id="s6BhdRkqt3",
    timeout=5.0,
)


def reply(body: object, status: int = 200, **headers: str) -> httpx.Response:
    """An answer as our wire hands it over."""
    stream = httpx.ByteStream(json.dumps(body).encode())
    return httpx.Response(status, headers={"content-type": "application/json"} | headers, stream=stream)


class Server:
    """Remembers what it was asked and calls every token active that begins with `good`."""

    def __init__(
        self,
        settings: ServerSettings = SETTINGS,
        reply: httpx.Response | None = None,
        method: ClientAuth = ClientAuth.BASIC,
    ) -> None:
        self.requests: list[httpx.Request] = []
        self.observer = RecordingObserver()
        self._reply = reply
        client = client_of(
            settings,
            with_secret("s6BhdRkqt3", "gX1fBat3bV", method),
            Transport(wire=lambda _: httpx.MockTransport(self._answer)),
            max_answer_bytes=MAX_BATCH_ANSWER_BYTES,
        )
        self.client = BatchClient(client, settings, self.observer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self._reply is not None:
            return self._reply
        tokens = str(httpx.QueryParams(request.content.decode())["tokens"]).split(" ")
        return reply({"responses": [{"active": token.startswith("good")} for token in tokens]})

    async def ask(self, *tokens: str) -> list[TokenState] | Unavailable:
        try:
            answer = await self.client.ask([Token(token) for token in tokens])
        finally:
            await self.client.close()
        return answer if isinstance(answer, Unavailable) else list(answer)


async def test_tokens_stand_in_one_field_with_spaces_between() -> None:
    """Encoded, followed by the hint, with the same authentication as for one token."""
    server = Server()
    await server.ask("a+b/c==", "mF_9.B5f-4.1JqM")
    (request,) = server.requests
    assert request.content == b"tokens=a%2Bb%2Fc%3D%3D%20mF_9.B5f-4.1JqM&token_type_hint=access_token"
    assert str(request.url) == "https://as.example.com/introspect/batch"
    assert request.headers["authorization"] == "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"


async def test_the_secret_may_stand_in_the_form() -> None:
    """As for one token."""
    server = Server(replace(SETTINGS, token_type_hint=""), method=ClientAuth.POST)
    await server.ask("t")
    assert server.requests[0].content == b"tokens=t&client_id=s6BhdRkqt3&client_secret=gX1fBat3bV"


async def test_states_come_back_in_the_order_of_the_tokens() -> None:
    """Each under its own token."""
    states = await Server().ask("good-1", "bad", "good-2")
    assert isinstance(states, list)
    assert [type(state) for state in states] == [Active, Inactive, Active]


@pytest.mark.parametrize(("count", "saved"), [(1, []), (2, [1]), (50, [49])])
async def test_saved_requests_are_told(count: int, saved: list[int]) -> None:
    """One less than there are tokens."""
    server = Server()
    await server.ask(*(f"good-{number}" for number in range(count)))
    assert server.observer.happenings == [
        Happened(what=Happening.BATCHED, subject="main", count=number) for number in saved
    ]


async def test_a_batch_that_fails_has_saved_nothing() -> None:
    """Its trouble is that of every token in it."""
    server = Server(reply=reply({}, 503, **{"retry-after": "3"}))
    assert await server.ask("good-1", "good-2") == Unavailable(
        reason=Reason.SERVER_ERROR, detail="status 503", retry_after=3
    )
    assert server.observer.happenings == []


async def test_an_answer_may_be_as_large_as_many_answers() -> None:
    """A batch is not cut at the size of one."""
    claims = {"active": True, "groups": "x" * 100_000}
    states = await Server(reply=reply({"responses": [claims] * 10})).ask(*(f"good-{number}" for number in range(10)))
    assert isinstance(states, list)
    assert len(states) == 10
