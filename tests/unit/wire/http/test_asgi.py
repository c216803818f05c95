"""The HTTP door: each dialect on its own path, only where it is switched on, only for whom it trusts."""

from collections.abc import Iterable
from ipaddress import ip_network

import pytest

from extauthz.core.decision import Reason
from extauthz.core.identity import IdentityHeaders
from extauthz.testing import Bench, policy, rule
from extauthz.wire.asgi import Message
from extauthz.wire.http.asgi import DIALECTS, HttpDoor

GOOD = {"authorization": "Bearer good"}
QUESTIONS: dict[str, tuple[bytes, dict[str, str]]] = {
    "nginx": (b"/nginx", {"x-original-method": "GET", "x-original-uri": "/orders/1", **GOOD}),
    "forward-auth": (b"/forward-auth", {"x-forwarded-method": "GET", "x-forwarded-uri": "/orders/1", **GOOD}),
    "envoy": (b"/envoy/orders/1", {"host": "api.example.com", **GOOD}),
    "gateway-api": (b"/gateway-api", {"host": "api.example.com", "method": "GET", "path": "/orders/1", **GOOD}),
}
"""One question that each dialect answers with yes."""


class Call:
    """One request to a door, and what came back."""

    def __init__(self, door: HttpDoor) -> None:
        self._door = door
        self.sent: list[Message] = []

    async def ask(
        self, raw_path: bytes, headers: dict[str, str], method: str = "GET", client: str | None = "127.0.0.1"
    ) -> int:
        return await self.ask_with(raw_path, headers.items(), method, client)

    async def ask_with(
        self,
        raw_path: bytes,
        lines: Iterable[tuple[str, str]],
        method: str = "GET",
        client: str | None = "127.0.0.1",
    ) -> int:
        scope = {
            "type": "http",
            "method": method,
            "path": "/not/what/was/sent",
            "raw_path": raw_path,
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in lines],
            "client": None if client is None else (client, 40000),
        }
        self.sent.clear()

        async def send(message: Message) -> None:
            self.sent.append(message)

        async def receive() -> Message:
            raise AssertionError("the body is nobody's business here")

        await self._door(scope, receive, send)
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return bytes(self.sent[1]["body"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])


def open_door(bench: Bench, *dialects: str, trusted: tuple[str, ...] = ()) -> Call:
    return Call(HttpDoor(bench.authorizer, trusted_proxies=map(ip_network, trusted), dialects=dialects))


@pytest.mark.parametrize("name", DIALECTS)
async def test_each_dialect_answers_at_its_own_path(name: str) -> None:
    """Switched on, it is there."""
    assert await open_door(Bench(), name).ask(*QUESTIONS[name]) == 200


@pytest.mark.parametrize("name", DIALECTS)
async def test_a_dialect_that_is_off_is_not_there(name: str) -> None:
    """404 with no body, and nobody is asked about the token."""
    bench = Bench()
    call = open_door(bench, *(other for other in DIALECTS if other != name))
    assert await call.ask(*QUESTIONS[name]) == 404
    assert (call.body, call.headers, bench.resolver.calls) == (b"", {b"content-length": b"0"}, 0)


async def test_nginx_alone_is_on_unless_more_is_asked_for() -> None:
    """A door that nobody uses is not there."""
    call = Call(HttpDoor(Bench().authorizer))
    assert [await call.ask(*QUESTIONS[name]) for name in DIALECTS] == [200, 404, 404, 404]


@pytest.mark.shows("N25")
@pytest.mark.parametrize(
    "raw_path",
    [
        b"/",
        b"/nginx/",
        b"/nginx/x",
        b"/NGINX",
        b"/%6eginx",
        b"/nginx%20",
        b"//nginx",
        b"/./nginx",
        b"/forward-auth/",
        b"/envoyX",
        b"/envoy..",
        b"/envoy../orders/1",
        b"/envoy%2Forders/1",
        b"/%65nvoy/orders/1",
        b"//envoy/orders/1",
        b"/x/envoy/orders/1",
        b"/envoy.service.auth.v3.Authorization/Check",
        b"/readyz",
    ],
)
async def test_a_path_that_only_resembles_one_is_nobodys(raw_path: bytes) -> None:
    """Paths are compared as they were sent, not as somebody decodes them."""
    headers = {name: value for _, question in QUESTIONS.values() for name, value in question.items()}
    assert await open_door(Bench(), *DIALECTS).ask(raw_path, headers) == 404


@pytest.mark.shows("E82")
async def test_envoy_without_a_path_behind_the_prefix_is_denied() -> None:
    """It says nothing about the request in question."""
    assert await open_door(Bench(), "envoy").ask(b"/envoy", QUESTIONS["envoy"][1]) == 500


@pytest.mark.shows("E79")
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PATCH", "FOO"])
@pytest.mark.parametrize("name", DIALECTS)
async def test_any_method_may_ask(name: str, method: str) -> None:
    """There is no 405: what counts is the method in question, and no body is waited for."""
    assert await open_door(Bench(), name).ask(*QUESTIONS[name], method=method) == 200


PREFLIGHT = {"origin": "https://app.example.com", "access-control-request-method": "GET"}


@pytest.mark.shows("S60", "N65", "E43")
@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
@pytest.mark.parametrize("lets_through", [True, False])
@pytest.mark.parametrize("name", DIALECTS)
async def test_a_preflight_passes_without_identity_where_the_route_lets_it(
    name: str, lets_through: bool, method: str
) -> None:
    """In every dialect the same; both headers belong to the client, so neither is metadata."""
    bench = Bench(policy=policy(rule(preflight=lets_through)))
    call = open_door(bench, name)
    raw_path, headers = QUESTIONS[name]
    asked = {other: method if other.endswith("method") else value for other, value in headers.items()}
    del asked["authorization"]
    status = await call.ask(raw_path, {**asked, **PREFLIGHT}, method=method)
    passes = lets_through and method == "OPTIONS"
    assert status == (200 if passes else 401)
    assert bench.resolver.calls == 0
    if passes:
        assert (call.headers[b"x-auth-sub"], call.headers[b"x-auth-scope"]) == (b"", b"")


@pytest.mark.shows("S11")
@pytest.mark.parametrize("name", DIALECTS)
async def test_browsers_may_show_the_challenge_of_a_denial_where_preflights_pass(name: str) -> None:
    """The header stands beside the challenge, for the gateway to hand on."""
    raw_path, headers = QUESTIONS[name]
    call = open_door(Bench(policy=policy(rule(preflight=True))), name)
    assert await call.ask(raw_path, {**headers, "authorization": "Bearer unknown"}) == 401
    assert call.headers[b"access-control-expose-headers"] == b"WWW-Authenticate"


OTHER_PLACES = {
    "cookie": "access_token=good; session=good",
    "sec-websocket-protocol": "bearer, good",
    "proxy-authorization": "Bearer good",
    "x-access-token": "good",
    "content-type": "application/x-www-form-urlencoded",
}


@pytest.mark.shows("N45", "E32")
@pytest.mark.parametrize("name", DIALECTS)
async def test_no_other_header_is_a_place_for_a_token(name: str) -> None:
    """Alone, none of them is one; beside a token, none is a second one."""
    bench = Bench()
    call = open_door(bench, name)
    raw_path, headers = QUESTIONS[name]
    anonymous = {header: value for header, value in headers.items() if header != "authorization"}
    assert await call.ask(raw_path, {**anonymous, **OTHER_PLACES}) == 401
    assert bench.resolver.calls == 0
    assert await call.ask(raw_path, {**headers, **OTHER_PLACES}) == 200


@pytest.mark.shows("N64")
@pytest.mark.parametrize("agent", ["kube-probe/1.31", "GoogleHC/1.0", "ELB-HealthChecker/2.0", "NGINX-Prometheus/1"])
@pytest.mark.parametrize("name", DIALECTS)
async def test_a_probe_is_judged_like_anybody(name: str, agent: str) -> None:
    """Who calls itself a health check has no other rights for that."""
    raw_path, headers = QUESTIONS[name]
    anonymous = {header: value for header, value in headers.items() if header != "authorization"}
    assert await open_door(Bench(), name).ask(raw_path, {**anonymous, "user-agent": agent}) == 401


@pytest.mark.shows("N29")
@pytest.mark.parametrize("header", ["x-authz-route", "x-route", "x-auth-route", "x-extauthz-route"])
@pytest.mark.parametrize("name", DIALECTS)
async def test_no_header_names_the_route(name: str, header: str) -> None:
    """The path chooses, whatever a client writes."""
    bench = Bench(policy=policy(rule(), rule(name="health", path="/healthz", anonymous=True)))
    raw_path, headers = QUESTIONS[name]
    anonymous = {other: value for other, value in headers.items() if other != "authorization"}
    assert await open_door(bench, name).ask(raw_path, {**anonymous, header: "health"}) == 401


@pytest.mark.shows("N28")
@pytest.mark.parametrize(
    ("names", "status"), [(["health"], 200), (["orders"], 401), (["none"], 403), ([""], 403), (["health"] * 2, 403)]
)
async def test_nginx_names_the_route_where_it_is_trusted_to(names: list[str], status: int) -> None:
    """And names it once."""
    bench = Bench(policy=policy(rule(), rule(name="health", path="/healthz", anonymous=True)))
    door = HttpDoor(bench.authorizer, trust_route_header=True)
    raw_path, headers = QUESTIONS["nginx"]
    lines = [(name, value) for name, value in headers.items() if name != "authorization"]
    assert await Call(door).ask_with(raw_path, [*lines, *(("x-authz-route", name) for name in names)]) == status


@pytest.mark.shows("N28", "N29")
@pytest.mark.parametrize("name", [dialect for dialect in DIALECTS if dialect != "nginx"])
async def test_no_other_dialect_names_the_route(name: str) -> None:
    """There, the client's own headers arrive."""
    bench = Bench(policy=policy(rule(), rule(name="health", path="/healthz", anonymous=True)))
    call = Call(HttpDoor(bench.authorizer, dialects=DIALECTS, trust_route_header=True))
    raw_path, headers = QUESTIONS[name]
    asked = {other: value for other, value in headers.items() if other != "authorization"}
    assert await call.ask(raw_path, {**asked, "x-authz-route": "health"}) == 401


@pytest.mark.shows("N12")
@pytest.mark.parametrize("name", DIALECTS)
async def test_head_is_answered_as_get_without_the_body(name: str) -> None:
    """Some gateways ask with HEAD."""
    raw_path, headers = QUESTIONS[name]
    anonymous = {header: value for header, value in headers.items() if header != "authorization"}
    call = open_door(Bench(), name)
    as_get = (await call.ask(raw_path, anonymous), call.headers)
    assert (await call.ask(raw_path, anonymous, method="HEAD"), call.headers) == as_get
    assert call.body == b""


@pytest.mark.shows("N21")
@pytest.mark.parametrize("name", DIALECTS)
async def test_only_who_is_trusted_may_ask(name: str) -> None:
    """Whoever asks says which request is meant, so a stranger gets no answer about any."""
    bench = Bench()
    call = open_door(bench, name, trusted=("10.1.0.0/16", "fd00::/8"))
    clients = ["127.0.0.1", "127.9.9.9", "::1", None, "10.1.2.3", "fd00::1", "10.2.0.1", "192.0.2.1", "testclient"]
    answers = [await call.ask(*QUESTIONS[name], client=client) for client in clients]
    assert answers == [200] * 6 + [403] * 3
    assert bench.resolver.calls == 6
    assert bench.event.decision.reason is Reason.UNTRUSTED_PEER
    assert bench.event.path == ""


async def test_the_identity_headers_of_the_policy_in_force_are_guarded() -> None:
    """A policy that is replaced takes its header names with it."""
    bench = Bench()
    call = open_door(bench, "forward-auth")
    raw_path, headers = QUESTIONS["forward-auth"]
    assert await call.ask(raw_path, {**headers, "x_auth_sub": "root"}) == 400
    assert await call.ask(raw_path, {**headers, "x_user": "root"}) == 200
    bench.authorizer.policy = policy(rule(identity=IdentityHeaders.of({"x-user": "sub"})))
    assert await call.ask(raw_path, {**headers, "x_auth_sub": "root"}) == 200
    assert await call.ask(raw_path, {**headers, "x_user": "root"}) == 400
