"""What a wire does not carry as it is, by name and with the reason. There is no other excuse for another answer."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from extauthz.core.decision import Reason, deny
from extauthz.core.paths import canonical_host
from fuzz.doors import POLICY, STATES, Doors, compiled
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

DOORS = Doors(compiled(POLICY), STATES)


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


# ---- what may be the matter -------------------------------------------------------------------------------------


def _has_control(wire: str, question: Question) -> bool:
    method, target, lines = http_wire(wire).ask(question)
    text = "".join([method, target, *(value for _, value in lines)])
    return re.search(r"[\x00-\x08\x0a-\x1f\x7f]", text) is not None


def _has_host(_: str, question: Question) -> bool:
    return any(name == "host" for name, _ in question.headers)


def _strange_line(_: str, question: Question) -> bool:
    """No method and path that every server takes in a request line."""
    whole = re.fullmatch(r"/([!$&'()*+,\-./:;=?@A-Z_a-z~0-9]|%[0-9A-Fa-f]{2})*", question.target)
    return whole is None or re.fullmatch("[A-Z]+", question.method) is None


def _strange_host(_: str, question: Question) -> bool:
    return re.fullmatch(r"[A-Za-z0-9.-]+(:[0-9]{1,4})?", question.host) is None


def _fold(name: str) -> str:
    return name.replace("_", "-").replace(".", "-")


def _imitates(wire: str, question: Question) -> bool:
    """Another spelling of a header that the dialect reads or that carries identity, or one of the former twice."""
    once = {"x-request-id", *(name.decode() for name in http_wire(wire).metadata)}
    guarded = {*once, *DOORS.guarded}
    names = Counter(name for name, _ in http_wire(wire).ask(question).lines)
    return any(names[name] > 1 for name in once) or any(
        name not in guarded and _fold(name) in guarded for name in names
    )


def _not_utf8(text: str) -> bool:
    try:
        text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return True
    return False


def _first(question: Question, name: str) -> str | None:
    return next((value for key, value in question.headers if key == name), None)


def _url_host(question: Question) -> str | None:
    """The host in the client's X-Original-URL, if the URL tells the same target, and the same host where there is one."""
    scheme, _, rest = (_first(question, "x-original-url") or "").partition("://")
    host, slash, path = rest.partition("/")
    well_formed = scheme in {"http", "https", "ws", "wss"} and host and not set(host) & set("?#\\@")
    same_host = not question.host or canonical_host(question.host) == canonical_host(host)
    return host if well_formed and slash + path == question.target and same_host else None


def _in_url(question: Question) -> Question | None:
    """The question with the host and target that its URL has, if what the client says beside it agrees."""
    host, slash, path = f"{question.host}{question.target}".partition("/")
    uri, named = _first(question, "x-original-uri"), _first(question, "x-original-host")
    agreed = uri in (None, slash + path) and (not named or canonical_host(named) == canonical_host(host))
    well_formed = host and slash and not set(host) & set("?#\\@")
    return replace(question, host=host, target=slash + path) if well_formed and agreed else None


# ---- what becomes of it -----------------------------------------------------------------------------------------


_BLANK = " \t"


def stripped(_: str, question: Question) -> Question:
    """Without blanks where a header begins or ends."""
    return replace(
        _stripped_beside_line(_, question),
        method=question.method.strip(_BLANK),
        target=question.target.strip(_BLANK),
    )


def _stripped_beside_line(_: str, question: Question) -> Question:
    """The same where method and path are in a request line."""
    return replace(
        question,
        host=question.host.strip(_BLANK),
        authorization=tuple(value.strip(_BLANK) for value in question.authorization),
        headers=tuple((name, value.strip(_BLANK)) for name, value in question.headers),
    )


def _stripped_around_url(_: str, question: Question) -> Question:
    """The same where host and path are in a URL."""
    target = question.target.rstrip(_BLANK)
    return replace(stripped(_, question), target=target, host=question.host if target else question.host.rstrip(_BLANK))


# ---- the list ---------------------------------------------------------------------------------------------------

DIFFERENCES = [
    Difference(
        name="controls",
        why="no HTTP server takes a header with a control character",
        wires=SOCKETS,
        example=Question(target="/orders/\x01"),
        concerns=_has_control,
        becomes=BY_SERVER,
    ),
    Difference(
        name="a second Host",
        why="the gateway's own question has one already, and no HTTP server takes two",
        wires=SOCKETS - {over_socket(INGRESS)},
        example=Question(authorization=("Bearer reader",), headers=(("host", "b.tenant.example.com"),)),
        concerns=_has_host,
        becomes=BY_SERVER,
    ),
    Difference(
        name="a strange request line",
        why="method and path are the question's own, and its server may not take them",
        wires=frozenset({over_socket(ENVOY)}),
        example=Question(target="/orders/%zz"),
        concerns=_strange_line,
        becomes=BY_SERVER,
        perhaps=True,
    ),
    Difference(
        name="a strange host",
        why="the host is the question's own, and its server may not take it",
        wires=frozenset({over_socket(ENVOY), over_socket(FABRIC)}),
        example=Question(host="a@b"),
        concerns=_strange_host,
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
        concerns=lambda _, question: question != _stripped_beside_line(_, question),
        becomes=_stripped_beside_line,
    ),
    Difference(
        name="blanks at the ends, around a URL",
        why="the same, but between host and path",
        wires=frozenset({over_socket(INGRESS)}),
        example=Question(target="/healthz "),
        concerns=lambda _, question: question != _stripped_around_url(_, question),
        becomes=_stripped_around_url,
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
        concerns=lambda _, question: _in_url(question) is not None,
        becomes=lambda _, question: _in_url(question) or question,
    ),
    Difference(
        name="no URL",
        why="the same: no host, no slash, or a client who says something else beside it",
        wires=_both(INGRESS),
        example=Question(host=""),
        concerns=lambda _, question: _in_url(question) is None,
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
        concerns=lambda _, question: any(map(_not_utf8, (question.method, question.target, question.host))),
        becomes=_refusal(Reason.BAD_METADATA),
    ),
    Difference(
        name="a header that is not UTF-8",
        why="Envoy writes ! for such an octet in a text; its raw values have the octet",
        wires=frozenset({MAP, VALUE}),
        example=Question(authorization=("Bearer\xe9 x",)),
        concerns=lambda _, question: any(map(_not_utf8, question.authorization)),
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
        concerns=_imitates,
        becomes=_refusal(Reason.BAD_METADATA),
    ),
    Difference(
        name="a client's URL that disagrees",
        why="NGINX's dialect reads X-Original-URL: beside other headers it may only confirm",
        wires=_both(NGINX),
        example=Question(headers=(("x-original-url", "https://api.example.com/healthz"),)),
        concerns=lambda _, question: _first(question, "x-original-url") is not None and _url_host(question) is None,
        becomes=_refusal(Reason.BAD_METADATA),
    ),
    Difference(
        name="a client's URL, and no host from the gateway",
        why="the same: behind ingress-nginx the URL is the only place of the host",
        wires=_both(NGINX),
        example=Question(host="", headers=(("x-original-url", "https://api.example.com/orders/1"),)),
        concerns=lambda _, question: not question.host and _url_host(question) is not None,
        becomes=lambda _, question: replace(question, host=_url_host(question) or ""),
    ),
]
