"""The ways in: the bare engine, the gRPC door, the HTTP door, and a real gateway in front of either.

A door's answer is turned into what client and upstream would see, as the gateway that speaks to it does.
"""

import asyncio
import http.client
import json
from collections.abc import Callable, Iterable

import grpc

from cases import Case, Front, Seen
from extauthz._gen.extauthz_envoy_pb2 import (
    AttributeContext,
    CheckRequest,
    CheckResponse,
    HeaderMap,
    HeaderValue,
    HttpRequest,
    Request,
)
from extauthz.authorizer import Authorizer
from extauthz.core.decision import Allow, Deny
from extauthz.core.request import AuthRequest
from extauthz.wire.envoy.service import CHECK_PATH

IDENTITY = ("x-auth-sub", "x-auth-scope")
TIMEOUT_SECONDS = 5.0

Ask = Callable[[Case], Seen]
Lines = list[tuple[str, str]]
Answer = dict[str, list[str]]
"""Header values by lower-case name, lines kept apart."""


def engine(build: Callable[[], tuple[Authorizer, Callable[[], object]]]) -> Front:
    """The engine itself, with a real resolver."""

    async def check(case: Case) -> Seen:
        authorizer, close = build()
        request = AuthRequest(
            door="test", method=case.method, target=case.target, host=case.host, authorization=case.authorization
        )
        try:
            decision = await authorizer.check(request)
        finally:
            await close()  # type: ignore[misc] # a coroutine function
        match decision:
            case Allow():
                return Seen(status=200, identity=dict(decision.identity))
            case Deny():
                retry_after = str(decision.retry_after) if decision.retry_after else ""
                return Seen(
                    status=decision.outcome.status,
                    challenge=decision.challenge,
                    reason=decision.reason.value,
                    retry_after=retry_after,
                )

    return Front(name="engine", ask=lambda case: asyncio.run(check(case)))


def grpc_door(name: str, port: int, *, raw_headers: bool) -> Front:
    """A gRPC client that does what Envoy does with the answer. `raw_headers` is Envoy's `encode_raw_headers`."""

    def ask(case: Case) -> Seen:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            check = channel.unary_unary(
                CHECK_PATH,
                request_serializer=CheckRequest.SerializeToString,
                response_deserializer=CheckResponse.FromString,
            )
            return _as_envoy(case, check(_check_request(case, raw_headers=raw_headers), timeout=TIMEOUT_SECONDS))

    return Front(name=name, ask=ask)


def _check_request(case: Case, *, raw_headers: bool) -> CheckRequest:
    lines = [("authorization", value) for value in case.authorization]
    lines += [(name.lower(), value) for name, value in case.headers]
    http = HttpRequest(method=case.method, path=case.target, host=case.host, id="1")
    if raw_headers:
        http.header_map.CopyFrom(
            HeaderMap(headers=[HeaderValue(key=name, raw_value=value.encode("latin-1")) for name, value in lines])
        )
    else:
        for name, value in lines:
            http.headers[name] = f"{http.headers[name]},{value}" if name in http.headers else value
    return CheckRequest(attributes=AttributeContext(request=Request(http=http)))


def _as_envoy(case: Case, response: CheckResponse) -> Seen:
    if response.status.code == 0:
        upstream = {name.lower(): value for name, value in case.headers}
        upstream |= {option.header.key: option.header.value for option in response.ok_response.headers}
        for name in response.ok_response.headers_to_remove:
            upstream.pop(name, None)
        return Seen(status=200, identity={name: upstream[name] for name in IDENTITY if name in upstream})
    denied = response.denied_response
    headers = {option.header.key: option.header.value for option in denied.headers}
    return Seen(
        status=denied.status.code,
        challenge=headers.get("www-authenticate", ""),
        reason=headers["x-authz-reason"],
        retry_after=headers.get("retry-after", ""),
    )


def nginx_door(port: int) -> Front:
    """An HTTP client that asks as gateway/nginx.conf does: nothing of the client's passes but what is named."""

    def metadata(case: Case) -> Lines:
        return [("X-Original-Method", case.method), ("X-Original-URI", case.target), ("X-Original-Host", case.host)]

    return Front(name="http nginx", ask=lambda case: _as_nginx(port, "/nginx", [*metadata(case), *_tokens(case)]))


def ingress_door(port: int) -> Front:
    """An HTTP client that asks as ingress-nginx does: the client's headers too, but for those that it sets itself."""

    def ask(case: Case) -> Seen:
        own = [
            ("Host", "extauthz.auth.svc"),
            ("X-Original-Method", case.method),
            ("X-Original-URL", f"https://{case.host}{case.target}"),
            ("X-Auth-Request-Redirect", case.target),
            ("X-Sent-From", "nginx-ingress-controller"),
        ]
        return _as_nginx(port, "/nginx", [*own, *_tokens(case), *_without(case.headers, own)])

    return Front(name="http ingress-nginx", ask=ask)


def gateway_api_door(port: int) -> Front:
    """An HTTP client that asks as NGINX Gateway Fabric does."""

    def metadata(case: Case) -> Lines:
        return [("Host", case.host), ("Path", case.target), ("Method", case.method)]

    return Front(
        name="http gateway-api", ask=lambda case: _as_nginx(port, "/gateway-api", [*metadata(case), *_tokens(case)])
    )


def _as_nginx(port: int, path: str, headers: Lines) -> Seen:
    """What the recipe in gateway/nginx.conf makes of the answer."""
    status, answer, body = exchange(port, "GET", path, headers)
    assert body == b"", "an answer with a body costs NGINX its connection"
    if status == 200:
        return Seen(status=200, identity=_set_by(answer))
    challenges = answer.get("www-authenticate", []) + answer.get("x-authz-challenge", [])
    assert len(challenges) <= 1
    return Seen(
        status=int(answer["x-authz-status"][0]),
        challenge="".join(challenges),
        reason=answer["x-authz-reason"][0],
        retry_after="".join(answer.get("retry-after", [])),
    )


def forward_auth_door(port: int) -> Front:
    """An HTTP client that asks as Traefik and Caddy do, and relays a denial as it is."""

    def ask(case: Case) -> Seen:
        own = [
            ("X-Forwarded-Method", case.method),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", case.host),
            ("X-Forwarded-Uri", case.target),
        ]
        lines = [*own, *_tokens(case), *_without(case.headers, own)]
        status, answer, body = exchange(port, "GET", "/forward-auth", lines)
        if status == 200:
            assert body == b""
            return Seen(status=200, identity=_set_by(answer))
        return _relayed(status, answer, body)

    return Front(name="http forward-auth", ask=ask)


def envoy_http_door(port: int) -> Front:
    """An HTTP client that asks as Envoy's http_service does, though with all headers, and mutates the request likewise."""

    def ask(case: Case) -> Seen:
        lines = [("Host", case.host), *_tokens(case), *case.headers]
        status, answer, body = exchange(port, case.method, f"/envoy{case.target}", lines)
        if status != 200:
            return _relayed(status, answer, body)
        assert body == b""
        upstream = {name.lower(): value for name, value in case.headers} | {name: answer[name][0] for name in IDENTITY}
        for name in answer["x-envoy-auth-headers-to-remove"][0].split(", "):
            upstream.pop(name, None)
        return Seen(status=200, identity={name: upstream[name] for name in IDENTITY if name in upstream})

    return Front(name="http envoy", ask=ask)


def _relayed(status: int, answer: Answer, body: bytes) -> Seen:
    """A denial that goes to the client as it is."""
    challenges = answer.get("www-authenticate", [])
    assert len(challenges) <= 1
    reason = "".join(answer.get("x-authz-reason", []))
    assert not body or json.loads(body) == {"error": reason}
    return Seen(
        status=status,
        challenge="".join(challenges),
        reason=reason,
        retry_after="".join(answer.get("retry-after", [])),
    )


def _set_by(answer: Answer) -> dict[str, str]:
    """The identity that an answer sets: each header is there once, and an empty one removes the client's copy."""
    values = {name: answer[name] for name in IDENTITY}
    assert all(len(lines) == 1 for lines in values.values())
    return {name: lines[0] for name, lines in values.items() if lines[0]}


def _tokens(case: Case) -> Lines:
    return [("Authorization", value) for value in case.authorization]


def _without(headers: Iterable[tuple[str, str]], own: Lines) -> Lines:
    """The client's headers but for those that the gateway sets itself."""
    names = {name.lower() for name, _ in own}
    return [(name, value) for name, value in headers if name.lower() not in names]


def gateway(name: str, port: int, *, kind: str) -> Front:
    """A client of a real gateway, with an upstream that answers with the request that it got."""

    def ask(case: Case) -> Seen:
        lines = [*(("Authorization", value) for value in case.authorization), *case.headers]
        status, headers, body = exchange(port, case.method, case.target, [("Host", case.host), *lines])
        challenges = headers.get("www-authenticate", [])
        assert len(challenges) <= 1, challenges
        return Seen(
            status=status,
            challenge="".join(challenges),
            reason=_reason(body) if status != 200 else "",
            retry_after="".join(headers.get("retry-after", [])),
            identity=_identity(body) if status == 200 else None,
        )

    return Front(name=name, ask=ask, gateway=kind)


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return ""


def _identity(body: bytes) -> dict[str, str]:
    lines = [(name.lower(), value) for name, value in json.loads(body)["headers"]]
    seen = [(name, value) for name, value in lines if name.replace("_", "-").replace(".", "-") in IDENTITY]
    assert len(seen) == len(dict(seen)), f"an identity header arrived twice: {seen}"
    return dict(seen)


def exchange(port: int, method: str, target: str, headers: Lines) -> tuple[int, Answer, bytes]:
    """One HTTP exchange with the target as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        has_host = any(name.lower() == "host" for name, _ in headers)
        connection.putrequest(method, target, skip_host=has_host, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        collected: Answer = {}
        for name, value in response.getheaders():
            collected.setdefault(name.lower(), []).append(value)
        return response.status, collected, response.read()
    finally:
        connection.close()
