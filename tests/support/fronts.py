"""The ways in: the bare engine, the gRPC door, the HTTP door, and a real gateway in front of either.

A door's answer is turned into what client and upstream would see, as the gateway that speaks to it does.
"""

import asyncio
import http.client
import json
from collections.abc import Callable

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
    """An HTTP client that does with the answer what the recipe in gateway/nginx.conf does."""

    def ask(case: Case) -> Seen:
        metadata = [
            ("X-Original-Method", case.method),
            ("X-Original-URI", case.target),
            ("X-Original-Host", case.host),
            *(("Authorization", value) for value in case.authorization),
        ]
        status, headers, body = exchange(port, "GET", "/nginx", metadata)
        assert body == b"", "an answer with a body costs NGINX its connection"
        if status == 200:
            identity = {name: headers[name][0] for name in IDENTITY}
            return Seen(status=200, identity={name: value for name, value in identity.items() if value})
        challenges = headers.get("www-authenticate", []) + headers.get("x-authz-challenge", [])
        assert len(challenges) <= 1
        return Seen(
            status=int(headers["x-authz-status"][0]),
            challenge="".join(challenges),
            reason=headers["x-authz-reason"][0],
            retry_after="".join(headers.get("retry-after", [])),
        )

    return Front(name="http nginx", ask=ask)


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


def exchange(
    port: int, method: str, target: str, headers: list[tuple[str, str]]
) -> tuple[int, dict[str, list[str]], bytes]:
    """One HTTP exchange with the target as it is; header names in lower case, lines kept apart."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        has_host = any(name.lower() == "host" for name, _ in headers)
        connection.putrequest(method, target, skip_host=has_host, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        response = connection.getresponse()
        collected: dict[str, list[str]] = {}
        for name, value in response.getheaders():
            collected.setdefault(name.lower(), []).append(value)
        return response.status, collected, response.read()
    finally:
        connection.close()
