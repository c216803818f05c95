"""The ways in: the bare engine, the gRPC door, and the HTTP door in each dialect. Real gateways are in `gateways`.

A door's answer is turned into what client and upstream would see, as the gateway that speaks to it does.
"""

import asyncio
import json
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import grpc

from cases import Case, Request, Seen
from extauthz._gen.extauthz_envoy_pb2 import CheckResponse
from extauthz.app import Service
from extauthz.core.decision import Allow, Decision, Deny
from extauthz.core.preflight import ORIGIN, REQUEST_METHOD, announced_method
from extauthz.core.request import AuthRequest
from extauthz.wire.envoy.service import CHECK_PATH
from fuzz.questions import Form, asked, check_request
from support.http1 import TIMEOUT_SECONDS, Answer, Lines, exchange

IDENTITY = ("x-auth-sub", "x-auth-scope")

Ask = Callable[[Request], Seen]


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """One way in.

    Attributes:
        name: for messages.
        ask: sends a request and tells how it ended.
        places: the names that `differs` has for it, the closest first.
        tells: as much of an outcome as can be seen there.
        over_http: whether requests come to it in HTTP.
    """

    name: str
    ask: Ask = field(repr=False)
    places: tuple[str, ...] = ()
    tells: Callable[[Request, Seen], Seen] = field(default=lambda _, seen: seen, repr=False)
    over_http: bool = True

    def carries(self, case: Case) -> bool:
        """Whether there is a way to send it: in HTTP, a line end in a value is the end of the line."""
        sent = case.request
        values = [sent.method, sent.target, sent.host, *sent.authorization, *(value for _, value in sent.headers)]
        return not (self.over_http and set("".join(values)) & {"\r", "\n"})

    def play(self, case: Case) -> Seen:
        """How it ends here."""
        for request in case.before:
            self.ask(request)
        return self.ask(case.request)

    def expected(self, case: Case) -> Seen:
        """How it must end here."""
        own = next((case.differs[place].seen for place in self.places if place in case.differs), case.expected)
        return self.tells(case.request, own)


def misfits(case: Case, fronts: Iterable[Front]) -> list[str]:
    """Where it ends otherwise than it must, asked everywhere at the same time."""
    able = [front for front in fronts if front.carries(case)]
    with ThreadPoolExecutor(len(able) or 1) as pool:
        ends = zip(able, pool.map(lambda front: front.play(case), able), strict=True)
        return [
            f"{front.name}: {seen!r}, not {front.expected(case)!r}"
            for front, seen in ends
            if seen != front.expected(case)
        ]


# ---- the engine -------------------------------------------------------------------------------------------------


class Engine:
    """The engine itself, with a real resolver, in an event loop of its own. A context manager."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="engine", daemon=True)

    def __enter__(self) -> Self:
        """Start the loop."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the service and the loop."""
        asyncio.run_coroutine_threadsafe(self._service.close(), self._loop).result(TIMEOUT_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def front(self) -> Front:
        """The way in that has no wire."""
        return Front(name="engine", ask=self._ask, over_http=False)

    def _ask(self, request: Request) -> Seen:
        question = AuthRequest(
            door="test",
            method=request.method,
            target=request.target,
            host=request.host,
            authorization=request.authorization,
            preflight=announced_method(request.method, _values(request, ORIGIN), _values(request, REQUEST_METHOD)),
        )
        checking = asyncio.run_coroutine_threadsafe(self._service.authorizer.check(question), self._loop)
        return _as_decided(checking.result(TIMEOUT_SECONDS))


def _values(request: Request, name: str) -> list[str]:
    """The values of a header of the client's."""
    return [value for header, value in request.headers if header.lower() == name]


def _as_decided(decision: Decision) -> Seen:
    match decision:
        case Allow():
            return Seen(status=200, identity=dict(decision.identity))
        case Deny():
            return Seen(
                status=decision.outcome.status,
                challenge=decision.challenge,
                reason=decision.reason.value,
                retry_after=decision.retry_after,
            )


# ---- gRPC -------------------------------------------------------------------------------------------------------


def grpc_door(name: str, channel: grpc.Channel, form: Form) -> Front:
    """A gRPC client that does what Envoy does with the answer."""
    check: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CHECK_PATH)

    def ask(request: Request) -> Seen:
        message = check(check_request(asked(request), form), timeout=TIMEOUT_SECONDS)
        return _as_envoy(request, CheckResponse.FromString(message))

    places = ("grpc map", "grpc") if form is Form.MAP else ("grpc",)
    return Front(name=name, ask=ask, places=places, over_http=False)


def _as_envoy(request: Request, response: CheckResponse) -> Seen:
    if response.status.code == 0:
        upstream = {name.lower(): value for name, value in request.headers}
        upstream |= {option.header.key: option.header.value for option in response.ok_response.headers}
        for name in response.ok_response.headers_to_remove:
            upstream.pop(name, None)
        return Seen(status=200, identity={name: upstream[name] for name in IDENTITY if name in upstream})
    denied = response.denied_response
    headers = {option.header.key: [option.header.value] for option in denied.headers}
    return refused(denied.status.code, headers, headers["x-authz-reason"][0])


# ---- HTTP -------------------------------------------------------------------------------------------------------

_HOP_BY_HOP = {"connection", "te", "upgrade"}


def nginx_door(port: int) -> Front:
    """An HTTP client that asks as gateway/nginx.conf does: nothing of the client's passes but what is named."""

    def ask(request: Request) -> Seen:
        own = [
            ("X-Original-Method", request.method),
            ("X-Original-URI", request.target),
            ("X-Original-Host", request.host),
            *((name, value) for name in (ORIGIN, REQUEST_METHOD) for value in _values(request, name)),
        ]
        return _as_nginx(port, "/nginx", [*own, *tokens(request)])

    return Front(name="http nginx", ask=ask, places=("http nginx", "http"))


def ingress_door(port: int) -> Front:
    """An HTTP client that asks as ingress-nginx does: the client's headers too, but for those that it sets itself."""

    def ask(request: Request) -> Seen:
        own = [
            ("Host", "extauthz.auth.svc"),
            ("X-Original-Method", request.method),
            ("X-Original-URL", f"https://{request.host}{request.target}"),
            ("X-Auth-Request-Redirect", request.target),
            ("X-Sent-From", "nginx-ingress-controller"),
        ]
        return _as_nginx(port, "/nginx", [*own, *tokens(request), *_without(request.headers, own)])

    return Front(name="http ingress-nginx", ask=ask, places=("http ingress-nginx", "http"))


def gateway_api_door(port: int) -> Front:
    """An HTTP client that asks as NGINX Gateway Fabric does."""

    def ask(request: Request) -> Seen:
        own = [("Host", request.host), ("Path", request.target), ("Method", request.method)]
        return _as_nginx(port, "/gateway-api", [*own, *tokens(request)])

    return Front(name="http gateway-api", ask=ask, places=("http gateway-api", "http"))


def _as_nginx(port: int, path: str, headers: Lines) -> Seen:
    """What the recipe in gateway/nginx.conf makes of the answer."""
    status, answer, body = exchange(port, "GET", path, headers)
    if status == 400:
        return Seen(status=400)
    assert body == b"", "an answer with a body costs NGINX its connection"
    if status == 200:
        return Seen(status=200, identity=_set_by(answer))
    challenges = answer.pop("x-authz-challenge", [])
    if challenges:
        assert "www-authenticate" not in answer
        answer["www-authenticate"] = challenges
    return refused(int(answer["x-authz-status"][0]), answer, answer["x-authz-reason"][0])


def forward_auth_door(port: int) -> Front:
    """An HTTP client that asks as Traefik and Caddy do, and relays a denial as it is."""

    def ask(request: Request) -> Seen:
        own = [
            ("Host", request.host),
            ("X-Forwarded-Method", request.method),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", request.host),
            ("X-Forwarded-Uri", request.target),
        ]
        lines = [*own, *tokens(request), *_without(request.headers, own)]
        status, answer, body = exchange(port, "GET", "/forward-auth", lines)
        if status == 200:
            assert body == b""
            return Seen(status=200, identity=_set_by(answer))
        return _relayed(status, answer, body)

    return Front(name="http forward-auth", ask=ask, places=("http forward-auth", "http"))


def envoy_http_door(port: int) -> Front:
    """An HTTP client that asks as Envoy's http_service does, though with all headers, and mutates the request likewise."""

    def ask(request: Request) -> Seen:
        lines = [("Host", request.host), *tokens(request), *_without(request.headers, [])]
        status, answer, body = exchange(port, request.method, f"/envoy{request.target}", lines)
        if status != 200:
            return _relayed(status, answer, body)
        assert body == b""
        upstream = {name.lower(): value for name, value in request.headers}
        upstream |= {name: answer[name][0] for name in IDENTITY}
        for name in answer["x-envoy-auth-headers-to-remove"][0].split(", "):
            upstream.pop(name, None)
        return Seen(status=200, identity={name: upstream[name] for name in IDENTITY if name in upstream})

    return Front(name="http envoy", ask=ask, places=("http envoy", "http"))


def refused(status: int, headers: Answer, reason: str) -> Seen:
    """A denial, which has one challenge at most."""
    challenges, waits = headers.get("www-authenticate", []), headers.get("retry-after", ["0"])
    assert len(challenges) <= 1, challenges
    assert len(waits) == 1, waits
    return Seen(status=status, challenge="".join(challenges), reason=reason, retry_after=int(waits[0]))


def _relayed(status: int, answer: Answer, body: bytes) -> Seen:
    """A denial that goes to the client as it is."""
    reason = "".join(answer.get("x-authz-reason", []))
    assert not body or json.loads(body) == {"error": reason}
    return refused(status, answer, reason)


def _set_by(answer: Answer) -> dict[str, str]:
    """The identity that an answer sets: each header is there once, and an empty one removes the client's copy."""
    values = {name: answer[name] for name in IDENTITY}
    assert all(len(lines) == 1 for lines in values.values())
    return {name: lines[0] for name, lines in values.items() if lines[0]}


def tokens(request: Request) -> Lines:
    """The lines of `Authorization`."""
    return [("Authorization", value) for value in request.authorization]


def _without(headers: Iterable[tuple[str, str]], own: Lines) -> Lines:
    """The client's headers but for those that the gateway sets itself, and those of the connection to it."""
    names = {name.lower() for name, _ in own} | _HOP_BY_HOP
    return [(name, value) for name, value in headers if name.lower() not in names]
