"""The question to an authorization server and what the answers mean (RFC 7662 §2); `test_client_wire` has the network."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest

from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Inactive, TokenState, Unavailable
from extauthz.core.token import Token
from extauthz.resolver.settings import ClientAuth, ServerSettings
from extauthz.resolver.transport import Transport
from support.asking import client_of, with_secret

TOKEN = "mF_9.B5f-4.1JqM"
SETTINGS = ServerSettings(
    name="main",
    introspection_endpoint="https://as.example.com/introspect",
    client_id="s6BhdRkqt3",
)
YES = b'{"active": true, "scope": "orders:read", "sub": "u1"}'
JSON = {"content-type": "application/json"}

Answers = Callable[[httpx.Request], httpx.Response]


def answer(status: int, headers: Mapping[str, str], body: bytes = b"") -> httpx.Response:
    """An answer as our wire hands it over."""
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))


async def exchange(
    answers: Answers, settings: ServerSettings = SETTINGS, *tokens: str, method: ClientAuth = ClientAuth.BASIC
) -> list[TokenState]:
    """What the client makes of these answers, one question for each token."""
    transport = Transport(wire=lambda _: httpx.MockTransport(answers))
    client = client_of(settings, with_secret(settings.client_id, "gX1fBat3bV", method), transport)
    try:
        return [await client.ask(Token(token)) for token in tokens or (TOKEN,)]
    finally:
        await client.close()


async def question(
    settings: ServerSettings = SETTINGS, token: str = TOKEN, method: ClientAuth = ClientAuth.BASIC
) -> httpx.Request:
    """The request that one question makes."""
    seen: list[httpx.Request] = []

    def remember(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answer(200, JSON, YES)

    await exchange(remember, settings, token, method=method)
    (request,) = seen
    return request


class TestRequest:
    """One POST with a form, and nothing in the URL (RFC 7662 §2.1)."""

    @pytest.mark.shows("S14", "S29", "N43")
    async def test_it_is_the_one_of_the_standard(self) -> None:
        """Method, URL, headers and body. The connection adds the host and the length."""
        request = await question()
        assert (request.method, str(request.url)) == ("POST", "https://as.example.com/introspect")
        assert request.content == b"token=mF_9.B5f-4.1JqM&token_type_hint=access_token"
        assert dict(request.headers) == {
            "accept": "application/json",
            "accept-encoding": "identity",
            "authorization": "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW",
            "content-type": "application/x-www-form-urlencoded",
            "user-agent": "extauthz",
        }

    @pytest.mark.shows("S14", "S29", "S61")
    @pytest.mark.parametrize(
        ("hint", "token", "body"),
        [
            ("access_token", "a+b/c==", b"token=a%2Bb%2Fc%3D%3D&token_type_hint=access_token"),
            ("", "t", b"token=t"),
        ],
        ids=["token encoded", "no hint"],
    )
    async def test_what_settings_change(self, hint: str, token: str, body: bytes) -> None:
        """The token arrives as it was; the hint can be left out."""
        request = await question(replace(SETTINGS, token_type_hint=hint), token)
        assert request.content == body

    async def test_the_secret_goes_into_the_form_when_it_shall(self) -> None:
        """And then not into the header."""
        request = await question(method=ClientAuth.POST)
        assert request.content.endswith(b"access_token&client_id=s6BhdRkqt3&client_secret=gX1fBat3bV")
        assert "authorization" not in request.headers

    async def test_a_cookie_of_the_server_is_not_sent_back(self) -> None:
        """A question must not depend on the one before it."""
        seen: list[httpx.Request] = []

        def greet(request: httpx.Request) -> httpx.Response:
            seen.append(request)
            return answer(200, JSON | {"set-cookie": "session=1; Path=/"}, YES)

        await exchange(greet, SETTINGS, "a", "b")
        assert ["cookie" in request.headers for request in seen] == [False, False]


@pytest.mark.shows("S42")
@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "RS256", "kid": "../../../../etc/passwd"},
        {"alg": "RS256", "kid": "x' UNION SELECT 'key"},
        {"alg": "RS256", "jku": "https://evil.example.com/keys"},
        {"alg": "RS256", "x5u": "http://169.254.169.254/latest/meta-data"},
        {"alg": "RS256", "jwk": {"kty": "oct", "k": "AAAA"}},
    ],
    ids=lambda header: next(reversed(header)),
)
async def test_what_a_token_says_of_itself_leads_nowhere(header: dict[str, Any]) -> None:
    """It is asked about as it is, once, where the configuration says."""
    parts = [json.dumps(part).encode() for part in (header, {"sub": "root"})]
    token = ".".join(urlsafe_b64encode(part).decode().rstrip("=") for part in parts) + ".c2ln"
    request = await question(replace(SETTINGS, token_type_hint=""), token)
    assert (str(request.url), request.content) == (SETTINGS.introspection_endpoint, f"token={token}".encode())


class TestReading:
    """Status, type, body and `Retry-After` reach the reader of answers."""

    @pytest.mark.shows("S25", "S26", "S27")
    @pytest.mark.parametrize(
        ("status", "headers", "body", "state"),
        [
            (200, JSON, YES, Active),
            (200, JSON, b'{"active": false}', Inactive),
            (400, JSON, b'{"error": "unsupported_token_type"}', Inactive),
            (200, {"content-type": "text/html"}, YES, Reason.SERVER_ANSWER_INVALID),
            (200, {}, YES, Reason.SERVER_ANSWER_INVALID),
            (200, JSON, b"", Reason.SERVER_ANSWER_INVALID),
            (204, {}, b"", Reason.SERVER_ANSWER_INVALID),
            (401, JSON, b'{"error": "invalid_client"}', Reason.SERVER_REFUSED_US),
            (403, {"content-type": "text/html"}, b"", Reason.SERVER_REFUSED_US),
            (404, JSON, YES, Reason.SERVER_ANSWER_INVALID),
            (405, JSON, YES, Reason.SERVER_ANSWER_INVALID),
            (415, JSON, YES, Reason.SERVER_ANSWER_INVALID),
            (429, JSON, YES, Reason.SERVER_BUSY),
            (500, JSON, YES, Reason.SERVER_ERROR),
            (503, JSON, YES, Reason.SERVER_ERROR),
            *((status, JSON, YES, Reason.SERVER_ANSWER_INVALID) for status in (301, 302, 303, 307, 308)),
        ],
    )
    async def test_an_answer_is_one_of_three(
        self, status: int, headers: dict[str, str], body: bytes, state: type[TokenState] | Reason
    ) -> None:
        """Only 200, and 400 about the token, say anything about it."""
        (got,) = await exchange(lambda _: answer(status, headers, body))
        if isinstance(state, Reason):
            assert isinstance(got, Unavailable)
            assert got.reason is state
        else:
            assert isinstance(got, state)

    @pytest.mark.shows("O17", "S26")
    @pytest.mark.parametrize(("status", "seconds"), [(429, 7), (503, 7), (401, 0)])
    async def test_a_busy_server_may_say_when_to_come_back(self, status: int, seconds: int) -> None:
        """Its `Retry-After` is for the client too."""
        (got,) = await exchange(lambda _: answer(status, {"retry-after": "7"}))
        assert isinstance(got, Unavailable)
        assert got.retry_after == seconds

    @pytest.mark.parametrize("first", ["", "application/json", "text/html"])
    async def test_two_content_types_are_none(self, first: str) -> None:
        """Which of them is meant nobody can know."""
        headers = [("content-type", first), ("content-type", "application/json")]
        two = httpx.Response(200, headers=headers, stream=httpx.ByteStream(b'{"active": true}'))
        (state,) = await exchange(lambda _: two)
        assert isinstance(state, Unavailable)
        assert state.reason is Reason.SERVER_ANSWER_INVALID

    async def test_a_400_speaks_of_the_token_once_the_server_has_answered_others(self) -> None:
        """Before that it may speak of our configuration."""
        bad = 400, JSON, b'{"error": "invalid_request"}'
        answers = iter([bad, (200, JSON, YES), bad])
        first, _, last = await exchange(lambda _: answer(*next(answers)), SETTINGS, "a", "b", "c")
        assert isinstance(first, Unavailable)
        assert last == Inactive(cacheable=False)

    @pytest.mark.shows("S19")
    async def test_the_issuer_is_compared(self) -> None:
        """An answer that names another issuer is not about a token of this server."""
        settings = replace(SETTINGS, issuer="https://as.example.com")
        body = b'{"active": true, "iss": "https://evil.example.com"}'
        (got,) = await exchange(lambda _: answer(200, JSON, body), settings)
        assert got == Inactive(reason=Reason.WRONG_ISSUER)

    @pytest.mark.shows("S34")
    @pytest.mark.parametrize("status", [200, 204, 307, 400, 401, 403, 404, 429, 500])
    @pytest.mark.parametrize("body", [b"canary", b'{"canary": 1, "canary": 2}', b'{"active": "canary"}'])
    async def test_no_detail_repeats_what_a_server_says(self, status: int, body: bytes) -> None:
        """It may have repeated the token, and details are for the log."""
        headers = {"content-type": "application/json", "location": "/canary", "retry-after": "canary"}
        (got,) = await exchange(lambda _: answer(status, headers, body), SETTINGS, "canary")
        assert isinstance(got, Unavailable)
        assert got.detail
        assert "canary" not in got.detail

    @pytest.mark.parametrize("error", [httpx.ConnectError("x" * 999), ValueError("odd"), OSError(), RecursionError()])
    async def test_no_failure_of_the_transport_is_raised(self, error: Exception) -> None:
        """It is named, shortly, for the log; it is no verdict."""

        def fail(_: httpx.Request) -> httpx.Response:
            raise error

        (got,) = await exchange(fail)
        assert isinstance(got, Unavailable)
        assert (got.reason, got.detail[: len(type(error).__name__)]) == (
            Reason.SERVER_UNREACHABLE,
            type(error).__name__,
        )
        assert len(got.detail) <= 200
