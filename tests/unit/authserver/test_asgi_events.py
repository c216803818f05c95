"""What the application tells of each answer, and what its guard refuses."""

from __future__ import annotations

import asyncio
import base64
import dataclasses
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest

from extauthz.authserver.admin import issue_token
from extauthz.authserver.asgi import create_app
from extauthz.authserver.assertion import ASSERTION_TYPE
from extauthz.authserver.client_auth import SecretVerifier, hash_secret
from extauthz.authserver.events import Event, Kind, recorded
from extauthz.authserver.guard import Guard, GuardRules
from extauthz.authserver.limiting import MemoryCounts
from extauthz.authserver.service import Service
from extauthz.authserver.store.base import ClientRecord, StoreError, TokenKind
from extauthz.authserver.store.sqlite import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECRET = "s3cret"
NOW = 1_700_000_000
APP = ClientRecord(
    client_id="app",
    secret_hash=hash_secret(SECRET, rounds=4),
    scopes=("a",),
    grants=("client_credentials", "refresh_token"),
)


class Server:
    """The application with a store in memory; what it tells, it keeps."""

    def __init__(self, store: MemoryStore, **rules: Any) -> None:  # noqa: ANN401 - fields of GuardRules
        self.store = store
        self.events: list[Event] = []
        self.service = Service(store, "https://as.example.com", lambda: NOW, verifier=SecretVerifier(rounds=4))
        self.app = create_app(
            self.service,
            batch=True,
            guard=Guard(dataclasses.replace(GuardRules(), **rules), MemoryCounts(lambda: 60.0)),
            observe=self.events.append,
        )

    async def post(self, path: str, auth: tuple[str, str] = ("app", SECRET), **form: str) -> httpx.Response:
        transport = httpx.ASGITransport(app=self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://as") as http:
            return await http.post(path, data=form, auth=auth, headers={"user-agent": "agent"})

    async def issued(self, kind: TokenKind = TokenKind.ACCESS) -> tuple[str, str]:
        """A new token and its jti."""
        token, record = await issue_token(self.store, client_id="app", sub="u", kind=kind, ttl_seconds=60, now=NOW)
        return token, record.jti


@pytest.fixture
async def store() -> AsyncIterator[MemoryStore]:
    async with MemoryStore() as store:
        await store.add_client(APP)
        yield store


@pytest.fixture
def server(store: MemoryStore) -> Server:
    return Server(store)


def told(server: Server) -> list[tuple[str, str, str | None, str | None]]:
    return [(event.kind.value, event.result, event.jti, event.sub) for event in server.events]


async def test_introspections_are_told_with_what_the_caller_does_not_see(server: Server) -> None:
    """The event of an inactive token says why and which; the answer does not."""
    token, jti = await server.issued()
    await server.post("/oauth2/introspect", token=token)
    await server.store.revoke_tokens(jti=jti, revoked_at=NOW)
    await server.post("/oauth2/introspect", token=token)
    await server.post("/oauth2/introspect", token="unknown")
    assert told(server) == [
        ("introspection", "active", jti, "u"),
        ("introspection", "revoked", jti, "u"),
        ("introspection", "unknown", None, None),
    ]
    assert {event.client_id for event in server.events} == {"app"}
    assert {event.user_agent for event in server.events} == {"agent"}


async def test_a_batch_is_told_token_by_token(server: Server) -> None:
    """Each token of a batch is an event of its own, in order; a refused batch is one."""
    await server.store.replace_client(dataclasses.replace(APP, can_introspect=True, audiences=("*",)))
    token, jti = await server.issued()
    await server.post("/oauth2/introspect/batch", tokens=f"unknown {token}")
    await server.post("/oauth2/introspect/batch", tokens=" ".join("x" * 300))
    assert [(result, name) for _, result, name, _ in told(server)] == [
        ("unknown", None),
        ("active", jti),
        ("invalid_request", None),
    ]


async def test_a_name_that_utf_8_cannot_hold_is_a_failure_as_any_other(server: Server) -> None:
    """A stranger's assertion for half a surrogate pair is refused, and what is told of it can be written down."""
    parts = (b'{"alg":"ES256"}', b'{"sub":"\\ud800"}', b"no signature")
    assertion = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    form = {"token": "x", "client_assertion": assertion, "client_assertion_type": ASSERTION_TYPE}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=server.app), base_url="http://as") as http:
        answer = await http.post("/oauth2/introspect", data=form)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert told(server) == [("authentication_failed", "invalid_client", None, None)]
    assert all(orjson.dumps(recorded(event)) for event in server.events)


async def test_what_the_token_endpoint_gives_is_told(server: Server) -> None:
    """Issue and exchange are told with the new jti; a refresh token that comes twice is told as such."""
    token, _ = await server.issued(TokenKind.REFRESH)
    await server.post("/oauth2/token", grant_type="client_credentials")
    await server.post("/oauth2/token", grant_type="refresh_token", refresh_token=token)
    await server.post("/oauth2/token", grant_type="refresh_token", refresh_token=token)
    kinds = [(event.kind, event.result, event.jti is not None) for event in server.events]
    assert kinds == [
        (Kind.ISSUE, "issued", True),
        (Kind.EXCHANGE, "issued", True),
        (Kind.EXCHANGE, "refresh_token_reused", False),
    ]


async def test_revocations_are_told(server: Server) -> None:
    """A revocation is told with its token, one of nothing too."""
    token, jti = await server.issued()
    await server.post("/oauth2/revoke", token=token)
    await server.post("/oauth2/revoke", token="unknown")
    assert told(server) == [("revocation", "revoked", jti, "u"), ("revocation", "unknown", None, None)]


async def test_failures_are_told_in_words_of_ours(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong credentials are an event of their kind with the claimed client; other failures name what they are."""
    await server.post("/oauth2/introspect", auth=("app", "wrong"), token="x")
    await server.post("/oauth2/introspect", other="x")

    async def fail(_digest: bytes) -> None:
        raise StoreError("no")

    monkeypatch.setattr(server.store, "find_token", fail)
    await server.post("/oauth2/introspect", token="x")
    assert [(event.kind.value, event.result, event.client_id) for event in server.events] == [
        ("authentication_failed", "invalid_client", "app"),
        ("introspection", "invalid_request", "app"),
        ("introspection", "unavailable", "app"),
    ]


@pytest.mark.shows("S91")
async def test_who_guesses_at_tokens_may_not_go_on(store: MemoryStore) -> None:
    """Inactive tokens are counted, active ones are not; other endpoints, and other clients, are served as before."""
    await store.add_client(dataclasses.replace(APP, client_id="other", can_introspect=True, audiences=("*",)))
    server = Server(store, inactive_per_client=3)
    token, _ = await server.issued()
    for guess in ("x", "y"):
        assert (await server.post("/oauth2/introspect", token=guess)).json() == {"active": False}
        assert (await server.post("/oauth2/introspect", token=token)).json()["active"] is True
    assert (await server.post("/oauth2/introspect", token="z")).status_code == 200
    refused = await server.post("/oauth2/introspect", token=token)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "20")
    assert (await server.post("/oauth2/token", grant_type="client_credentials")).status_code == 200
    guesses = await server.post("/oauth2/introspect/batch", auth=("other", SECRET), tokens=f"a b {token} c")
    assert guesses.status_code == 200
    assert (await server.post("/oauth2/introspect", auth=("other", SECRET), token=token)).status_code == 429


async def test_limits_are_answered_429(store: MemoryStore) -> None:
    """Beyond a limit the answer is 429 with Retry-After and an error that OAuth clients can read."""
    server = Server(store, requests_per_client=1)
    assert (await server.post("/oauth2/introspect", token="x")).status_code == 200
    refused = await server.post("/oauth2/introspect", token="x")
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    assert refused.json()["error"] == "too_many_requests"
    assert server.events[-1].result == "too_many_requests"


async def test_a_trusted_proxy_tells_the_address(store: MemoryStore) -> None:
    """The event has the address that the proxy tells."""
    server = Server(store, trusted_proxies=(ip_network("127.0.0.0/8"),))
    basic = base64.b64encode(f"app:{SECRET}".encode())
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/oauth2/introspect",
        "query_string": b"",
        "client": ("127.0.0.1", 5),
        "headers": [
            (b"content-type", b"application/x-www-form-urlencoded"),
            (b"authorization", b"Basic " + basic),
            (b"x-forwarded-for", b"192.0.2.7"),
        ],
    }
    messages: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"token=x"}

    async def send(message: Any) -> None:  # noqa: ANN401 - whatever is sent
        await asyncio.sleep(0)
        messages.append(message)

    await server.app(scope, receive, send)
    assert messages[0]["status"] == 200
    assert server.events[0].address == "192.0.2.7"


def test_a_line_of_the_record_is_bounded() -> None:
    """What strangers chose is cut; marks of tokens are left out."""
    event = Event(kind=Kind.INTROSPECTION, at=0.0, client_id="c" * 999, user_agent="u" * 999, token_mark=b"secret")
    line = recorded(event)
    assert (len(line["client_id"]), len(line["user_agent"])) == (256, 256)
    assert line["time"] == "1970-01-01T00:00:00.000Z"
    assert "token_mark" not in line
    assert set(line) >= {"at", "kind", "result", "jti", "sub", "address", "took_us"}


async def test_answers_to_what_arrived_together_leave_together(server: Server) -> None:
    """Both are decided before the first is sent."""
    steps: list[str] = []

    async def receive() -> dict[str, Any]:
        steps.append("asked")
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:  # noqa: ANN401 - as ASGI has it
        steps.append(message["type"])

    form = (b"content-type", b"application/x-www-form-urlencoded")
    scope = {"type": "http", "method": "POST", "path": "/oauth2/introspect", "headers": [form]}
    await asyncio.gather(*(server.app(dict(scope), receive, send) for _ in range(2)))
    assert steps == ["asked", "asked", *["http.response.start", "http.response.body"] * 2]
