"""Every way to ask: the form that a question has on each wire, and how the verdict is read there.

Over HTTP, a gateway here also lets all headers of the client through. Not each of them would; but this is the worst of all.
"""

import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import grpc

from extauthz.wire.envoy.service import CHECK_PATH
from extauthz.wire.http import envoy_http, forward_auth, gateway_api, nginx
from fuzz.doors import Doors
from fuzz.questions import Form, Lines, Question, check_request, nginx_lines, octets
from fuzz.verdicts import Verdict, read_check_response, read_nginx_answer, read_relayed_answer

Ask = Callable[[Question], Verdict]

BY_SERVER = Verdict(status=400, reason="")
"""The HTTP server refuses before any of our code runs, or ends the connection."""

NOBODYS = Verdict(status=404, reason="")
"""No dialect is spoken at the path."""

# ---- gRPC -------------------------------------------------------------------------------------------------------

MAP, VALUE, RAW = ("grpc, map", "grpc, text values", "grpc, raw values")
GRPC: Mapping[str, Form] = {MAP: Form.MAP, VALUE: Form.VALUE, RAW: Form.RAW}

# ---- HTTP -------------------------------------------------------------------------------------------------------


class HttpQuestion(NamedTuple):
    """A question as HTTP has it, but for `Host` where the gateway has no say in it. Text is octets, read as Latin-1."""

    method: str
    target: str
    lines: Lines


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpWire:
    """How a kind of gateway asks over HTTP.

    Attributes:
        ask: the question in its form.
        metadata: names of the headers that it is asked with, each of which is there once.
        relays: whether a denial goes to the client as it is; then an allow does not tell its reason.
    """

    ask: Callable[[Question], HttpQuestion]
    metadata: tuple[bytes, ...]
    relays: bool = False


_REPLACED_BY_INGRESS = {"x-original-url", "x-original-method", "x-auth-request-redirect", "x-sent-from", "host"}


def _as_nginx(question: Question) -> HttpQuestion:
    return HttpQuestion("GET", "/nginx", nginx_lines(question))


def _as_ingress_nginx(question: Question) -> HttpQuestion:
    own = (("x-original-method", question.method), ("x-original-url", f"https://{question.host}{question.target}"))
    kept = tuple(line for line in question.lines if line[0] not in _REPLACED_BY_INGRESS)
    return HttpQuestion("GET", "/nginx", (*own, *kept))


def _as_gateway_fabric(question: Question) -> HttpQuestion:
    own = (("host", question.host), ("path", question.target), ("method", question.method))
    return HttpQuestion("GET", "/gateway-api", (*own, *question.lines))


def _as_forward_auth(question: Question) -> HttpQuestion:
    own = (
        ("x-forwarded-method", question.method),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", question.host),
        ("x-forwarded-uri", question.target),
    )
    return HttpQuestion("GET", "/forward-auth", (*own, *question.lines))


def _as_http_service(question: Question) -> HttpQuestion:
    return HttpQuestion(question.method, f"/envoy{question.target}", (("host", question.host), *question.lines))


NGINX, INGRESS, FABRIC = ("http nginx", "http ingress-nginx", "http gateway-api")
FORWARD_AUTH, ENVOY = ("http forward-auth", "http envoy")
HTTP: Mapping[str, HttpWire] = {
    NGINX: HttpWire(ask=_as_nginx, metadata=nginx.METADATA),
    INGRESS: HttpWire(ask=_as_ingress_nginx, metadata=nginx.METADATA),
    FABRIC: HttpWire(ask=_as_gateway_fabric, metadata=gateway_api.METADATA),
    FORWARD_AUTH: HttpWire(ask=_as_forward_auth, metadata=forward_auth.METADATA, relays=True),
    ENVOY: HttpWire(ask=_as_http_service, metadata=envoy_http.METADATA, relays=True),
}

_SOCKET = " over a socket"


def over_socket(wire: str) -> str:
    """The name of the same wire with a server and a socket on it."""
    return wire + _SOCKET


def http_wire(wire: str) -> HttpWire:
    """How it is asked there, over a socket or not."""
    return HTTP[wire.removesuffix(_SOCKET)]


SOCKETS = frozenset(map(over_socket, HTTP))
EVERY = frozenset({*GRPC, *HTTP, *SOCKETS})

# ---- without sockets --------------------------------------------------------------------------------------------


def grpc_codec(doors: Doors, form: Form, *, title_case: bool = False) -> Ask:
    """The gRPC codec, called as a function."""

    def ask(question: Question) -> Verdict:
        return read_check_response(doors.check(check_request(question, form, title_case=title_case)), doors.guarded)

    return ask


def http_door(doors: Doors, wire: str) -> Ask:
    """The HTTP door, called as a function."""

    def ask(question: Question) -> Verdict:
        method, target, lines = HTTP[wire].ask(question)
        return _read(wire, *doors.http(method, target, octets(lines)), doors.guarded)

    return ask


def _read(wire: str, status: int, lines: Iterable[tuple[bytes, bytes]], body: bytes, guarded: Iterable[str]) -> Verdict:
    if status == NOBODYS.status:
        return NOBODYS
    if HTTP[wire].relays:
        return read_relayed_answer(status, lines, body, guarded)
    assert body == b"", "an answer with a body costs NGINX its connection"
    return read_nginx_answer(status, lines, guarded)


# ---- through sockets --------------------------------------------------------------------------------------------

_TIMEOUT_SECONDS = 30.0
_FROM_SERVER = {b"connection", b"date", b"server"}


def grpc_call(channel: grpc.Channel, form: Form, guarded: Iterable[str]) -> Ask:
    """A call of a running service."""
    check: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CHECK_PATH)
    names = tuple(guarded)
    return lambda question: read_check_response(check(check_request(question, form), timeout=_TIMEOUT_SECONDS), names)


def http_call(port: int, wire: str, guarded: Iterable[str]) -> Ask:
    """A client that sends octets as they are, which no HTTP library does."""
    names = tuple(guarded)

    def ask(question: Question) -> Verdict:
        method, target, lines = HTTP[wire].ask(question)
        own = (
            [(b"connection", b"close")]
            if b"host" in HTTP[wire].metadata
            else [(b"host", b"x"), (b"connection", b"close")]
        )
        head = b"".join(name + b": " + value + b"\r\n" for name, value in (*own, *octets(lines)))
        status, answered, body = _exchange(port, f"{method} {target} HTTP/1.1\r\n".encode("latin-1") + head + b"\r\n")
        if status == BY_SERVER.status and not any(name == b"x-authz-reason" for name, _ in answered):
            return BY_SERVER
        return _read(wire, status, answered, body, names)

    return ask


def _exchange(port: int, request: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Status, headers without those of the server, and body; a connection that ends at once is a refusal."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), _TIMEOUT_SECONDS) as connection:
        connection.sendall(request)
        while piece := connection.recv(65536):
            answer += piece
    if not answer:
        return BY_SERVER.status, [], b""
    head, _, body = answer.partition(b"\r\n\r\n")
    status_line, *lines = head.split(b"\r\n")
    pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    return int(status_line.split(b" ")[1]), [pair for pair in pairs if pair[0] not in _FROM_SERVER], body
