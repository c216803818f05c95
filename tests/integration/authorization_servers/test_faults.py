"""The introspection client when the network or the server fails: never an exception, never active, nothing left open."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Inactive, TokenState, Unavailable
from extauthz.core.token import Token
from extauthz.resolver.ladder import Asks
from support.asking import within
from support.fault_proxy import (
    Fault,
    FaultProxy,
    after,
    answering,
    dripping,
    hanging,
    hanging_up,
    late,
    reset_after_request,
    reset_at_once,
    reset_in_body,
    saying,
    truncated,
)
from support.oidc_provider import OidcProvider
from support.real_server import RealServer

Asking = Asks[Token, Active | Inactive]

IMPATIENCE = 0.3
"""Where the deadline is what is tested."""

PATIENCE = 15.0
"""Where something else has to come first, on a machine that is busy with other tests."""

BOUND = 60.0
"""Far more than the client's own deadline: a test that reaches it has hung."""

JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"

FAULTS = [
    pytest.param(hanging, Reason.SERVER_TIMEOUT, id="hangs"),
    pytest.param(late(BOUND), Reason.SERVER_TIMEOUT, id="late"),
    pytest.param(dripping(0.01), Reason.SERVER_TIMEOUT, id="drips"),
    pytest.param(hanging_up, Reason.SERVER_UNREACHABLE, id="hangs up"),
    pytest.param(reset_at_once, Reason.SERVER_UNREACHABLE, id="reset at once"),
    pytest.param(reset_after_request, Reason.SERVER_UNREACHABLE, id="reset after the request"),
    pytest.param(reset_in_body, Reason.SERVER_UNREACHABLE, id="reset in the body"),
    pytest.param(truncated, Reason.SERVER_UNREACHABLE, id="truncated"),
    pytest.param(saying(b"\x00\xff\x00\xff\r\n\r\n"), Reason.SERVER_UNREACHABLE, id="garbage"),
    pytest.param(
        saying(JSON_HEAD + b'transfer-encoding: chunked\r\n\r\n3\r\n{"a\r\nnonsense\r\n'),
        Reason.SERVER_UNREACHABLE,
        id="garbage between chunks",
    ),
    pytest.param(saying(JSON_HEAD + b'\r\n{"active": true, "sc'), Reason.SERVER_ANSWER_INVALID, id="cut, no length"),
    pytest.param(answering(500), Reason.SERVER_ERROR, id="500"),
    pytest.param(answering(429), Reason.SERVER_BUSY, id="429"),
]


@pytest.fixture(scope="module")
def proxy(oidc: OidcProvider) -> Iterator[FaultProxy]:
    with FaultProxy(urlsplit(oidc.introspection_endpoint).port or 0) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def token(oidc: OidcProvider) -> Token:
    return Token(oidc.issue())


@asynccontextmanager
async def asking(server: RealServer, proxy: FaultProxy, patience: float = PATIENCE) -> AsyncIterator[Asking]:
    """A client of the server behind the proxy, which leaves no connection behind."""
    endpoint = proxy.through(server.introspection_endpoint)
    client = within(server.client(introspection_endpoint=endpoint), patience)
    try:
        yield client
    finally:
        await client.close()
    await until_open(proxy, 0)


async def until_open(proxy: FaultProxy, count: int) -> None:
    """Return once so many connections are open."""
    async with asyncio.timeout(BOUND):
        while proxy.open != count:  # noqa: ASYNC110 - the proxy counts in another thread
            await asyncio.sleep(0.01)


async def ask(client: Asking, token: Token) -> TokenState:
    async with asyncio.timeout(BOUND):
        return await client.ask(token)


async def until_active(client: Asking, token: Token) -> None:
    """Return once the server can be asked again: on a busy machine one answer may be late."""
    async with asyncio.timeout(BOUND):
        while not isinstance(await client.ask(token), Active):
            pass


class TestEachFault:
    """One trouble, one reason."""

    @pytest.mark.parametrize(("fault", "reason"), FAULTS)
    async def test_it_is_unavailable_and_then_over(
        self, oidc: OidcProvider, proxy: FaultProxy, token: Token, fault: Fault, reason: Reason
    ) -> None:
        """On a new connection and on one in use alike; the same client asks on when the fault has ended."""
        patience = IMPATIENCE if reason is Reason.SERVER_TIMEOUT else PATIENCE
        async with asking(oidc, proxy, patience) as client:
            with proxy.having(fault):
                fresh = await ask(client, token)
            await until_active(client, token)
            with proxy.having(fault):
                used = await ask(client, token)
            await until_active(client, token)
        assert [state.reason for state in (fresh, used) if isinstance(state, Unavailable)] == [reason] * 2

    async def test_nobody_listening_is_unavailable_and_then_over(
        self, oidc: OidcProvider, proxy: FaultProxy, token: Token
    ) -> None:
        """The server restarts, and nobody here has to."""
        async with asking(oidc, proxy) as client:
            assert isinstance(await ask(client, token), Active)
            with proxy.refusing():
                state = await ask(client, token)
            assert isinstance(await ask(client, token), Active)
        assert isinstance(state, Unavailable)
        assert state.reason is Reason.SERVER_UNREACHABLE

    async def test_a_server_in_trouble_may_say_when_to_come_back(
        self, oidc: OidcProvider, proxy: FaultProxy, token: Token
    ) -> None:
        """In seconds."""
        async with asking(oidc, proxy) as client:
            with proxy.having(answering(503, "retry-after: 7")):
                state = await ask(client, token)
        assert isinstance(state, Unavailable)
        assert (state.reason, state.retry_after) == (Reason.SERVER_ERROR, 7)


class TestSecrecy:
    """What a server says may repeat our question."""

    @pytest.mark.parametrize(
        "before",
        [
            b"",
            b"HTTP/1.1 ",
            b"HTTP/1.1 200 OK\r\n",
            b"HTTP/1.1 200 OK\r\nx: ",
            b"HTTP/1.1 200 OK\r\ncontent-length: ",
            JSON_HEAD + b"content-length: 999\r\n\r\n",
            JSON_HEAD + b"transfer-encoding: chunked\r\n\r\n",
            JSON_HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n",
            JSON_HEAD + b"\r\n",
        ],
    )
    async def test_nothing_of_it_gets_into_the_log(self, proxy: FaultProxy, oidc: OidcProvider, before: bytes) -> None:
        """However it breaks the rules of HTTP."""
        token = "mF_9.B5f-4.1JqM"
        async with asking(oidc, proxy) as client:
            with proxy.having(saying(before + token.encode() + b"\r\n\r\n")):
                state = await ask(client, Token(token))
        assert isinstance(state, Unavailable)
        assert token not in state.detail


class TestManyAtOnce:
    """Faults under load."""

    @pytest.mark.parametrize(
        ("fault", "patience"),
        [(hanging, IMPATIENCE), (reset_after_request, PATIENCE), (truncated, PATIENCE)],
        ids=["hang", "reset", "truncated"],
    )
    async def test_no_question_is_lost_and_no_connection_leaks(
        self, oidc: OidcProvider, proxy: FaultProxy, token: Token, fault: Fault, patience: float
    ) -> None:
        """All end as unavailable; what broke is closed, and what comes after is answered."""
        async with asking(oidc, proxy, patience) as client:
            with proxy.having(fault):
                states = await asyncio.gather(*(ask(client, token) for _ in range(30)))
                await until_open(proxy, 0)
            await until_active(client, token)
        assert {type(state) for state in states} == {Unavailable}

    async def test_what_was_answered_before_the_fault_stays_answered(
        self, oidc: OidcProvider, proxy: FaultProxy, token: Token
    ) -> None:
        """Some answers, then none: each question gets its own outcome."""
        async with asking(oidc, proxy) as client:
            with proxy.having(after(3, reset_after_request)):
                states = [await ask(client, token) for _ in range(5)]
        assert [type(state) for state in states] == [Active] * 3 + [Unavailable] * 2


class TestConnections:
    """They are kept as long as they are good."""

    async def test_questions_in_a_row_share_one(self, real_server: RealServer) -> None:
        """With both servers; the proxy changes nothing about that."""
        token = Token(real_server.issue())
        with FaultProxy(urlsplit(real_server.introspection_endpoint).port or 0) as proxy:
            async with asking(real_server, proxy) as client:
                states = [await client.ask(token) for _ in range(5)]
            assert {type(state) for state in states} == {Active}
            assert (proxy.connections, proxy.requests) == (1, 5)

    async def test_an_idle_one_that_was_reset_costs_no_answer(
        self, oidc: OidcProvider, proxy: FaultProxy, token: Token
    ) -> None:
        """The server may close it just as we take it: the question is asked once more."""
        async with asking(oidc, proxy) as client:
            for _ in range(5):
                assert isinstance(await client.ask(token), Active)
                proxy.reset_connections()

    async def test_one_with_an_unread_answer_is_not_used_again(
        self, oidc: OidcProvider, proxy: FaultProxy, token: Token
    ) -> None:
        """A late answer would be taken for that to the next question."""
        async with asking(oidc, proxy, IMPATIENCE) as client:
            await until_active(client, token)
            before = proxy.connections
            with proxy.having(late(BOUND)):
                assert isinstance(await ask(client, token), Unavailable)
            await until_active(client, token)
        assert proxy.connections > before
