"""What a wire does not carry as it is, by name and with the reason. There is no other excuse for another answer."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from extauthz.core.decision import Reason, deny
from fuzz.doors import DOORS
from fuzz.questions import Question, joined, sanitised
from fuzz.verdicts import Verdict, verdict
from fuzz.wires import (
    BY_SERVER,
    ENVOY,
    EVERY,
    FABRIC,
    GRPC,
    HTTP,
    INGRESS,
    MAP,
    NGINX,
    NOBODYS,
    SOCKETS,
    VALUE,
    http_wire,
    over_socket,
)
from property.carriage import (
    first_value,
    has_control,
    has_host,
    imitates,
    in_url,
    not_utf8,
    strange_host,
    strange_line,
    stripped,
    stripped_around_url,
    stripped_beside_line,
    url_host,
)


def expected(wire: str, question: Question) -> tuple[Verdict, ...]:
    """The engine's verdict about what this wire carries; also the server's where it may refuse the question."""
    also: tuple[Verdict, ...] = ()
    for difference in DIFFERENCES:
        if wire in difference.wires and difference.concerns(wire, question):
            match difference.becomes:
                case Verdict() as refusal if difference.perhaps:
                    also = (*also, refusal)
                case Verdict() as refusal:
                    return (*also, refusal)
                case becomes:
                    question = becomes(wire, question)
    return (*also, _told(wire, DOORS.engine(question)))


def _told(wire: str, told: Verdict) -> Verdict:
    silent = wire in {*HTTP, *SOCKETS} and http_wire(wire).relays
    return replace(told, reason="") if told.allows and silent else told


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Why a wire does not carry a question as it is.

    Attributes:
        name: what is the matter with the question.
        why: why this wire cannot carry it.
        wires: which wires.
        example: a question that it is about, and that ends otherwise because of it.
        concerns: whether it is about a question on one of these wires.
        becomes: how the question ends there, or the other question that arrives instead.
        perhaps: whether it may also be answered as it is: what a server takes is its own affair.
    """

    name: str
    why: str
    wires: frozenset[str]
    example: Question
    concerns: Callable[[str, Question], bool]
    becomes: Verdict | Callable[[str, Question], Question]
    perhaps: bool = False


def _both(*wires: str) -> frozenset[str]:
    """These, and the same over a socket."""
    return frozenset({*wires, *map(over_socket, wires)})


def _refusal(reason: Reason) -> Verdict:
    return verdict(deny(reason))


# ---- the list ---------------------------------------------------------------------------------------------------

DIFFERENCES = [
    Difference(
        name="controls",
        why="no HTTP server takes a header with a control character",
        wires=SOCKETS,
        example=Question(target="/orders/\x01"),
        concerns=has_control,
        becomes=BY_SERVER,
    ),
    Difference(
        name="a second Host",
        why="the gateway's own question has one already, and no HTTP server takes two",
        wires=SOCKETS - {over_socket(INGRESS)},
        example=Question(authorization=("Bearer reader",), headers=(("host", "b.tenant.example.com"),)),
        concerns=has_host,
        becomes=BY_SERVER,
    ),
    Difference(
        name="a strange request line",
        why="method and path are the question's own, and its server may not take them",
        wires=frozenset({over_socket(ENVOY)}),
        example=Question(target="/orders/%zz"),
        concerns=strange_line,
        becomes=BY_SERVER,
        perhaps=True,
    ),
    Difference(
        name="a strange host",
        why="the host is the question's own, and its server may not take it",
        wires=frozenset({over_socket(ENVOY), over_socket(FABRIC)}),
        example=Question(host="a@b"),
        concerns=strange_host,
        becomes=BY_SERVER,
        perhaps=True,
    ),
    Difference(
        name="blanks at the ends",
        why="blanks around a header's value are no part of it (RFC 9110 section 5.5)",
        wires=SOCKETS - {over_socket(ENVOY), over_socket(INGRESS)},
        example=Question(target="/healthz "),
        concerns=lambda _, question: question != stripped(_, question),
        becomes=stripped,
    ),
    Difference(
        name="blanks at the ends, beside a request line",
        why="the same, but for method and path",
        wires=frozenset({over_socket(ENVOY)}),
        example=Question(target="/healthz", host="api.example.com "),
        concerns=lambda _, question: question != stripped_beside_line(_, question),
        becomes=stripped_beside_line,
    ),
    Difference(
        name="blanks at the ends, around a URL",
        why="the same, but between host and path",
        wires=frozenset({over_socket(INGRESS)}),
        example=Question(target="/healthz "),
        concerns=lambda _, question: question != stripped_around_url(_, question),
        becomes=stripped_around_url,
    ),
    Difference(
        name="no path behind the prefix",
        why="Envoy was told to send all questions to one path: which request is meant is not said",
        wires=_both(ENVOY),
        example=Question(target="?/healthz"),
        concerns=lambda _, question: not question.target.partition("?")[0],
        becomes=_refusal(Reason.MISCONFIGURED_GATEWAY),
    ),
    Difference(
        name="no slash behind the prefix",
        why="/envoyer is not below /envoy",
        wires=_both(ENVOY),
        example=Question(target="healthz"),
        concerns=lambda _, question: not question.target.startswith("/"),
        becomes=NOBODYS,
    ),
    Difference(
        name="a host and a target that make another URL",
        why="ingress-nginx says both in X-Original-URL, where the host ends at the first slash",
        wires=_both(INGRESS),
        example=Question(host="b.tenant.example.com/", target="/healthz"),
        concerns=lambda _, question: in_url(question) is not None,
        becomes=lambda _, question: in_url(question) or question,
    ),
    Difference(
        name="no URL",
        why="the same: no host, no slash, or a client who says something else beside it",
        wires=_both(INGRESS),
        example=Question(host=""),
        concerns=lambda _, question: in_url(question) is None,
        becomes=_refusal(Reason.BAD_METADATA),
    ),
    Difference(
        name="no method, or no target",
        why="an empty protobuf text is an absent one; an empty metadata header is somebody's mistake",
        wires=EVERY,
        example=Question(method=""),
        concerns=lambda _, question: not question.method or not question.target,
        becomes=_refusal(Reason.BAD_METADATA),
    ),
    Difference(
        name="a method, target or host that is not UTF-8",
        why="a protobuf text must be UTF-8, or the message is none",
        wires=frozenset(GRPC),
        example=Question(target="/orders/\xe9"),
        concerns=lambda _, question: any(map(not_utf8, (question.method, question.target, question.host))),
        becomes=_refusal(Reason.BAD_METADATA),
    ),
    Difference(
        name="a header that is not UTF-8",
        why="Envoy writes ! for such an octet in a text; its raw values have the octet",
        wires=frozenset({MAP, VALUE}),
        example=Question(authorization=("Bearer\xe9 x",)),
        concerns=lambda _, question: any(map(not_utf8, question.authorization)),
        becomes=lambda _, question: replace(
            question, authorization=tuple(sanitised(value) for value in question.authorization)
        ),
    ),
    Difference(
        name="several lines of Authorization",
        why="a map has one value for a name: Envoy joins the lines with commas",
        wires=frozenset({MAP}),
        example=Question(authorization=("Basic a", "Basic b")),
        concerns=lambda _, question: len(question.authorization) > 1,
        becomes=lambda _, question: replace(question, authorization=(joined(question.lines)["authorization"],)),
    ),
    Difference(
        name="a comma in the method",
        why="over HTTP it is the sign of two lines that were joined",
        wires=_both(*HTTP),
        example=Question(method="GET,POST"),
        concerns=lambda _, question: "," in question.method,
        becomes=_refusal(Reason.BAD_METADATA),
    ),
    Difference(
        name="imitated metadata",
        why="metadata and a client's headers stand side by side; Envoy has fields for the former and removes the latter",
        wires=_both(*HTTP),
        example=Question(headers=(("x_auth_sub", "evil"),)),
        concerns=imitates,
        becomes=_refusal(Reason.BAD_METADATA),
    ),
    Difference(
        name="a client's URL that disagrees",
        why="NGINX's dialect reads X-Original-URL: beside other headers it may only confirm",
        wires=_both(NGINX),
        example=Question(headers=(("x-original-url", "https://api.example.com/healthz"),)),
        concerns=lambda _, question: first_value(question, "x-original-url") is not None and url_host(question) is None,
        becomes=_refusal(Reason.BAD_METADATA),
    ),
    Difference(
        name="a client's URL, and no host from the gateway",
        why="the same: behind ingress-nginx the URL is the only place of the host",
        wires=_both(NGINX),
        example=Question(host="", headers=(("x-original-url", "https://api.example.com/orders/1"),)),
        concerns=lambda _, question: not question.host and url_host(question) is not None,
        becomes=lambda _, question: replace(question, host=url_host(question) or ""),
    ),
]
