"""The HTTP door as gateways see it: who may ask, which path, which statuses."""

from ipaddress import ip_network
from typing import Any

import pytest

from extauthz.authorizer import Authorizer
from extauthz.core.decision import Reason
from extauthz.core.introspection import TokenState, Unavailable
from extauthz.testing import RecordingObserver, StubResolver, TickingClock, active, policy, rule
from extauthz.wire.asgi import Message
from extauthz.wire.http.asgi import HttpDoor

TOKENS: dict[str, TokenState] = {
    "good": active("orders:read"),
    "small": active("other"),
    "no-sub": active("orders:read", sub=None),
    "evil": active("orders:read", sub="a\xa0b"),
    "down": Unavailable(reason=Reason.SERVER_BUSY, detail="status 429", retry_after=7),
}
RULES = (
    rule(),
    rule(name="health", path="/healthz", anonymous=True),
    rule(name="cached", path="/cached", edge_cache=5),
)
METADATA = {"x-original-method": "GET", "x-original-uri": "/orders/1", "x-original-host": "api.example.com"}
Verdict = tuple[int, str, str]
Peer = dict[str, Any]

LOOPBACK: Peer = {"client": ("127.0.0.1", 40000)}
STRANGER: Peer = {"client": ("192.0.2.1", 1)}
NETWORKS = (ip_network("10.0.0.0/8"), ip_network("2001:db8::/32"))


class Answer:
    """What went back to the gateway."""

    def __init__(self, sent: list[Message]) -> None:
        self.start, *self.rest = sent
        self.status: int = self.start["status"]
        self.headers: list[tuple[bytes, bytes]] = list(self.start["headers"])

    def all(self, name: str) -> list[str]:
        return [value.decode() for found, value in self.headers if found == name.encode()]

    @property
    def verdict(self) -> Verdict:
        """Status on the wire, status for the client, reason; each header at most once."""
        (status,) = self.all("x-authz-status") or [""]
        (reason,) = self.all("x-authz-reason")
        return self.status, status, reason


class Gateway:
    """A door with a policy behind it, and whoever asks there."""

    def __init__(self, *, fault: Exception | None = None) -> None:
        clock = TickingClock()
        self.resolver = StubResolver(TOKENS, fresh_until=clock.now + 60, fault=fault)
        self.observer = RecordingObserver()
        authorizer = Authorizer(
            policy=policy(*RULES),
            resolver=self.resolver,
            observer=self.observer,
            wall=clock,
            monotonic=clock,
            decision_ids=str,
        )
        self.door = HttpDoor(authorizer, trusted_proxies=NETWORKS)

    async def ask(
        self,
        *extra: tuple[str, str],
        token: str | None = None,
        metadata: dict[str, str] | None = None,
        path: str = "/nginx",
        method: str = "GET",
        peer: Peer = LOOPBACK,
    ) -> Answer:
        pairs = [*(METADATA | (metadata or {})).items(), *extra]
        if token is not None:
            pairs.append(("authorization", f"Bearer {token}"))
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
        scope = {"type": "http", "method": method, "raw_path": path.encode(), "headers": headers} | peer
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            raise AssertionError("the body is left unread")

        await self.door(scope, receive, send)
        return Answer(sent)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


CASES = [
    # token, metadata, answer: status on the wire, X-Authz-Status, X-Authz-Reason
    ("good", {}, (200, "", "allowed")),
    (None, {"x-original-uri": "/healthz"}, (200, "", "public")),
    (None, {}, (401, "401", "no_credentials")),
    ("unknown", {}, (401, "401", "inactive")),
    ("b@d", {}, (401, "400", "malformed_credentials")),
    ("one,Bearer two", {}, (401, "400", "several_credentials")),
    ("small", {}, (403, "403", "insufficient_scope")),
    ("good", {"x-original-uri": "/nowhere"}, (403, "403", "no_route")),
    ("good", {"x-original-uri": "/orders/../admin"}, (403, "400", "bad_path")),
    ("good", {"x-original-uri": "/orders/%2e"}, (403, "400", "bad_path")),
    ("good", {"x-original-uri": "/orders/\xff"}, (403, "400", "bad_path")),
    ("good", {"x-original-uri": ""}, (403, "400", "bad_metadata")),
    ("good", {"x-original-method": ""}, (403, "400", "bad_metadata")),
    ("good", {"x-original-method": "get"}, (403, "400", "bad_method")),
    ("good", {"x-original-method": "GET, POST"}, (403, "400", "bad_metadata")),
    ("good", {"x-original-host": "a.com,b.com"}, (403, "400", "bad_host")),
    ("down", {}, (500, "503", "server_busy")),
    ("evil", {}, (500, "503", "identity_not_forwardable")),
]
for_every_case = pytest.mark.parametrize(("token", "metadata", "expected"), CASES)


@pytest.mark.shows("N2", "N4", "N5", "N6", "N8", "N10", "N26", "N39")
@for_every_case
async def test_a_question_has_one_answer(
    gateway: Gateway, token: str | None, metadata: dict[str, str], expected: Verdict
) -> None:
    """200, 401, 403 or 500, and the truth beside it."""
    assert (await gateway.ask(token=token, metadata=metadata)).verdict == expected


@pytest.mark.shows("N3", "N7", "N47", "N51", "N53")
@for_every_case
async def test_every_answer_has_the_same_form(
    gateway: Gateway, token: str | None, metadata: dict[str, str], expected: Verdict
) -> None:
    """No body, no chunks, no header twice; a challenge of NGINX's own on 401 alone; identity on allows alone."""
    answer = await gateway.ask(token=token, metadata=metadata)
    assert answer.rest == [{"type": "http.response.body", "body": b""}]
    assert answer.all("content-length") == ["0"]
    assert answer.all("cache-control") == ["no-store"]
    assert len({name for name, _ in answer.headers}) == len(answer.headers)
    wire, _, reason = expected
    assert bool(answer.all("www-authenticate")) == (wire == 401)
    assert bool(answer.all("x-authz-challenge")) == (reason == "insufficient_scope")
    assert bool(answer.all("x-auth-sub")) == (wire == 200)


@pytest.mark.shows("S51", "N46")
@pytest.mark.parametrize(
    ("token", "metadata", "sub", "scope"),
    [
        ("good", {}, "u1", "orders:read"),
        ("no-sub", {}, "", "orders:read"),
        (None, {"x-original-uri": "/healthz"}, "", ""),
    ],
)
async def test_an_allow_names_each_identity_header_once(
    gateway: Gateway, token: str | None, metadata: dict[str, str], sub: str, scope: str
) -> None:
    """Whatever copies the client sent, and empty where there is nothing to say."""
    forged = (("x-auth-sub", "root"), ("x-auth-scope", "admin"), ("x-auth-sub", "other"))
    answer = await gateway.ask(*forged, token=token, metadata=metadata)
    assert (answer.all("x-auth-sub"), answer.all("x-auth-scope")) == ([sub], [scope])


@pytest.mark.shows("N19")
async def test_another_spelling_of_an_identity_header_is_refused(gateway: Gateway) -> None:
    """NGINX drops it by default; where it is told not to, an application would read it as the real one."""
    assert (await gateway.ask(("x_auth_sub", "root"), token="good")).verdict == (403, "400", "bad_metadata")
    assert gateway.resolver.calls == 0


@pytest.mark.shows("N10")
async def test_trouble_says_when_to_come_back(gateway: Gateway) -> None:
    """As the authorization server wished."""
    assert (await gateway.ask(token="down")).all("retry-after") == ["7"]


@pytest.mark.shows("N51", "N52")
async def test_an_allow_is_kept_only_where_the_rule_says_so(gateway: Gateway) -> None:
    """Seconds, and for this token alone."""
    answer = await gateway.ask(token="good", metadata={"x-original-uri": "/cached"})
    assert (answer.all("cache-control"), answer.all("vary")) == (["max-age=5"], ["Authorization"])
    denied = await gateway.ask(token="small", metadata={"x-original-uri": "/cached"})
    assert denied.all("cache-control") == ["no-store"]


@pytest.mark.shows("N18")
@pytest.mark.parametrize("name", [*METADATA, "x-original-proto", "x-request-id"])
async def test_metadata_that_stands_twice_is_refused(gateway: Gateway, name: str) -> None:
    """Before the token is looked at."""
    answer = await gateway.ask((name, "/a"), (name, "/a"), token="good")
    assert answer.verdict == (403, "400", "bad_metadata")
    assert gateway.resolver.calls == 0


@pytest.mark.shows("N17")
@pytest.mark.parametrize("target", ["/orders/1", "/healthz"], ids=["protected", "public"])
@pytest.mark.parametrize("missing", ["x-original-method", "x-original-uri"])
async def test_metadata_that_is_missing_is_a_server_error(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, missing: str, target: str
) -> None:
    """On public routes too: the gateway's file is wrong."""
    monkeypatch.setitem(METADATA, "x-original-uri", target)
    monkeypatch.delitem(METADATA, missing)
    answer = await gateway.ask(token="good")
    assert answer.verdict == (500, "500", "misconfigured_gateway")
    assert gateway.resolver.calls == 0


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "DELETE"])
async def test_the_method_of_the_subrequest_says_nothing(gateway: Gateway, method: str) -> None:
    """The client's method stands in the metadata."""
    assert (await gateway.ask(token="good", method=method)).status == 200


@pytest.mark.parametrize("path", ["/", "/nginx/", "/nginx/x", "/NGINX", "/orders/1", "/forward-auth", "//nginx"])
async def test_other_paths_are_not_found(gateway: Gateway, path: str) -> None:
    """Nothing is decided there."""
    answer = await gateway.ask(token="good", path=path)
    assert (answer.status, answer.headers) == (404, [(b"content-length", b"0")])
    assert gateway.observer.checks == []


class TestPeers:
    """Metadata is believed only from those who set it truthfully."""

    @pytest.mark.shows("N21")
    @pytest.mark.parametrize(
        ("peer", "trusted"),
        [
            ({"client": ("127.0.0.1", 1)}, True),
            ({"client": ("127.8.9.10", 1)}, True),
            ({"client": ("::1", 1)}, True),
            ({"client": None}, True),
            ({}, True),
            ({"client": ("10.1.2.3", 1)}, True),
            ({"client": ("2001:db8::1", 1)}, True),
            ({"client": ("11.0.0.1", 1)}, False),
            ({"client": ("192.0.2.1", 1)}, False),
            ({"client": ("2001:db9::1", 1)}, False),
            ({"client": ("::2", 1)}, False),
            ({"client": ("0.0.0.0", 1)}, False),
            ({"client": ("", 0)}, False),
            ({"client": ("localhost", 1)}, False),
            ({"client": ("127.0.0.1.example.com", 1)}, False),
        ],
    )
    async def test_loopback_unix_sockets_and_named_networks_are_trusted(
        self, gateway: Gateway, peer: Peer, trusted: bool
    ) -> None:
        """A peer without an address came through a Unix socket; ASGI lets a server leave the entry out."""
        answer = await gateway.ask(token="good", peer=peer)
        assert answer.verdict == ((200, "", "allowed") if trusted else (403, "403", "untrusted_peer"))
        assert gateway.resolver.calls == int(trusted)

    @pytest.mark.shows("N21")
    @pytest.mark.parametrize("metadata", [{}, {"x-original-uri": "/healthz"}, {"x-original-uri": "/../"}])
    async def test_a_stranger_learns_nothing_about_routes(self, gateway: Gateway, metadata: dict[str, str]) -> None:
        """The answer is the same for every question, public routes and bad ones too."""
        answer = await gateway.ask(metadata=metadata, peer=STRANGER)
        assert answer.verdict == (403, "403", "untrusted_peer")
        assert not answer.all("x-authz-challenge")

    async def test_a_forwarded_address_is_not_the_peers(self, gateway: Gateway) -> None:
        """Anybody can write that header."""
        answer = await gateway.ask(("x-forwarded-for", "127.0.0.1"), token="good", peer=STRANGER)
        assert answer.status == 403


@pytest.mark.shows("E5", "N16")
async def test_a_defect_of_our_own_denies_and_tells_nothing() -> None:
    """500 on the wire, no identity, no text of the exception."""
    answer = await Gateway(fault=RuntimeError("canary")).ask(token="good")
    assert answer.verdict == (500, "500", "internal")
    assert not answer.all("x-auth-sub")
    assert "canary" not in repr((answer.start, answer.rest))
