"""One question, one decision: whatever a client sends, every door says what the engine says.

Most of it needs no socket: codec, framing and dialect are called as functions. A smaller sample goes through running
services. What a wire cannot carry is in `DIFFERENCES`, by name and with the reason; there is no other excuse.
"""

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import grpc
import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st

from extauthz._gen.extauthz_envoy_pb2 import CheckResponse
from extauthz.cli.processes import free_ports
from extauthz.core.decision import Reason, deny
from extauthz.core.identity import FAILURE_MODE_HEADER
from extauthz.core.paths import canonical_host
from extauthz.wire.envoy.service import CHECK_PATH
from extauthz.wire.http.nginx import METADATA
from fuzz.doors import (
    POLICY,
    REPLIES,
    STATES,
    Doors,
    Verdict,
    compiled,
    read_check_response,
    read_nginx_answer,
    unframed,
    verdict,
)
from fuzz.oddities import BASES, PLACES, one_by_one, questions, with_urls
from fuzz.questions import Form, Question, check_request, frame, joined, nginx_lines, octets, sanitised
from support.running import running
from support.stub_server import StubServer

DOORS = Doors(compiled(POLICY), STATES)

# ---- what a wire cannot carry -----------------------------------------------------------------------------------

MAP, VALUE, RAW = ("grpc, map", "grpc, text values", "grpc, raw values")
NGINX = "http nginx"
OVER_HTTP = "http nginx over a socket"
GRPC = frozenset({MAP, VALUE, RAW})
EVERY = GRPC | {NGINX, OVER_HTTP}


def refusal(reason: Reason) -> Verdict:
    return verdict(deny(reason))


BY_SERVER = Verdict(status=400, reason="")
"""The HTTP server refuses before any of our code runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Why a wire does not carry a question as it is.

    Attributes:
        name: what is the matter with the question.
        why: why this wire cannot carry it.
        wires: which wires.
        example: a question that it is about, and that ends otherwise because of it.
        concerns: whether it is about a question.
        becomes: how the question ends there, or the other question that arrives instead.
    """

    name: str
    why: str
    wires: frozenset[str]
    example: Question
    concerns: Callable[[Question], bool]
    becomes: Verdict | Callable[[Question], Question]


def _fold(name: str) -> str:
    return name.replace("_", "-").replace(".", "-")


_ONCE = ("x-request-id", *(name.decode() for name in METADATA))
_GUARDED = {*_ONCE, *DOORS.guarded}


def _imitates(question: Question) -> bool:
    """Another spelling of a header that NGINX's dialect reads or that carries identity, or one of the former twice."""
    names = Counter(name for name, _ in nginx_lines(question))
    return any(names[name] > 1 for name in _ONCE) or any(
        name not in _GUARDED and _fold(name) in _GUARDED for name in names
    )


def _url(question: Question) -> str | None:
    return next((value for name, value in question.headers if name == "x-original-url"), None)


def _url_host(question: Question) -> str | None:
    """The host in the client's X-Original-URL, if the URL tells the same target, and the same host where there is one."""
    scheme, _, rest = (_url(question) or "").partition("://")
    host, slash, path = rest.partition("/")
    well_formed = scheme in {"http", "https", "ws", "wss"} and host and not set(host) & set("?#\\@")
    same_host = not question.host or canonical_host(question.host) == canonical_host(host)
    return host if well_formed and slash + path == question.target and same_host else None


def _not_utf8(text: str) -> bool:
    try:
        text.encode("latin-1").decode()
    except UnicodeDecodeError:
        return True
    return False


def _stripped(question: Question) -> Question:
    blank = " \t"
    return Question(
        method=question.method.strip(blank),
        target=question.target.strip(blank),
        host=question.host.strip(blank),
        authorization=tuple(value.strip(blank) for value in question.authorization),
        headers=tuple((name, value.strip(blank)) for name, value in question.headers),
    )


def _has_control(question: Question) -> bool:
    values = [value for _, value in nginx_lines(question)]
    return any((character < " " and character != "\t") or character == "\x7f" for character in "".join(values))


DIFFERENCES = [
    Difference(
        name="controls",
        why="no HTTP server takes a header with a control character",
        wires=frozenset({OVER_HTTP}),
        example=Question(target="/orders/\x01"),
        concerns=_has_control,
        becomes=BY_SERVER,
    ),
    Difference(
        name="a second Host",
        why="the gateway's own question has one already, and no HTTP server takes two",
        wires=frozenset({OVER_HTTP}),
        example=Question(authorization=("Bearer reader",), headers=(("host", "b.tenant.example.com"),)),
        concerns=lambda question: any(name == "host" for name, _ in question.headers),
        becomes=BY_SERVER,
    ),
    Difference(
        name="blanks at the ends",
        why="blanks around a header's value are no part of it (RFC 9110 section 5.5)",
        wires=frozenset({OVER_HTTP}),
        example=Question(target="/healthz "),
        concerns=lambda question: question != _stripped(question),
        becomes=_stripped,
    ),
    Difference(
        name="no method, or no target",
        why="an empty protobuf text is an absent one; an empty metadata header is somebody's mistake",
        wires=EVERY,
        example=Question(target=""),
        concerns=lambda question: not question.method or not question.target,
        becomes=refusal(Reason.BAD_METADATA),
    ),
    Difference(
        name="a method, target or host that is not UTF-8",
        why="a protobuf text must be UTF-8, or the message is none",
        wires=GRPC,
        example=Question(target="/orders/\xe9"),
        concerns=lambda question: any(map(_not_utf8, (question.method, question.target, question.host))),
        becomes=refusal(Reason.BAD_METADATA),
    ),
    Difference(
        name="a header that is not UTF-8",
        why="Envoy writes ! for such an octet in a text; its raw values have the octet",
        wires=frozenset({MAP, VALUE}),
        example=Question(authorization=("Bearer\xe9 x",)),
        concerns=lambda question: any(map(_not_utf8, question.authorization)),
        becomes=lambda question: replace(question, authorization=tuple(map(sanitised, question.authorization))),
    ),
    Difference(
        name="several lines of Authorization",
        why="a map has one value for a name: Envoy joins the lines with commas",
        wires=frozenset({MAP}),
        example=Question(authorization=("Basic a", "Basic b")),
        concerns=lambda question: len(question.authorization) > 1,
        becomes=lambda question: replace(question, authorization=(joined(question.lines)["authorization"],)),
    ),
    Difference(
        name="a comma in the method",
        why="over HTTP it is the sign of two lines that were joined",
        wires=frozenset({NGINX, OVER_HTTP}),
        example=Question(method="GET,POST"),
        concerns=lambda question: "," in question.method,
        becomes=refusal(Reason.BAD_METADATA),
    ),
    Difference(
        name="imitated metadata",
        why="metadata and a client's headers stand side by side; Envoy has fields for the former and removes the latter",
        wires=frozenset({NGINX, OVER_HTTP}),
        example=Question(headers=(("x_original_uri", "/healthz"),)),
        concerns=_imitates,
        becomes=refusal(Reason.BAD_METADATA),
    ),
    Difference(
        name="a client's URL that disagrees",
        why="ingress-nginx says host and target in X-Original-URL, so it is read: beside other headers it may only confirm",
        wires=frozenset({NGINX, OVER_HTTP}),
        example=Question(headers=(("x-original-url", "https://api.example.com/healthz"),)),
        concerns=lambda question: _url(question) is not None and _url_host(question) is None,
        becomes=refusal(Reason.BAD_METADATA),
    ),
    Difference(
        name="a client's URL, and no host from the gateway",
        why="the same: behind ingress-nginx the URL is the only place of the host",
        wires=frozenset({NGINX, OVER_HTTP}),
        example=Question(host="", headers=(("x-original-url", "https://api.example.com/orders/1"),)),
        concerns=lambda question: not question.host and _url_host(question) is not None,
        becomes=lambda question: replace(question, host=_url_host(question) or ""),
    ),
]


def expected(wire: str, question: Question) -> Verdict:
    """The engine's verdict about what this wire carries."""
    for difference in DIFFERENCES:
        if wire in difference.wires and difference.concerns(question):
            if isinstance(difference.becomes, Verdict):
                return difference.becomes
            question = difference.becomes(question)
    return DOORS.engine(question)


# ---- without sockets --------------------------------------------------------------------------------------------

_timeouts = st.sampled_from([None, b"1S", b"200m", b"99999999H", b"0n", b"", b"S", b"-1S", b"1.5S"])
_cuts = st.lists(st.integers(0, 10_000), max_size=4)


def _grpc(form: Form, *, title_case: bool = False) -> Callable[[Question], Verdict]:
    def ask(question: Question) -> Verdict:
        return read_check_response(DOORS.check(check_request(question, form, title_case=title_case)), DOORS.guarded)

    return ask


def _nginx(question: Question) -> Verdict:
    return DOORS.nginx(octets(nginx_lines(question)))


WAYS: list[tuple[str, Callable[[Question], Verdict]]] = [
    (MAP, _grpc(Form.MAP)),
    (MAP, _grpc(Form.MAP, title_case=True)),
    (RAW, _grpc(Form.RAW)),
    (RAW, _grpc(Form.RAW, title_case=True)),
    (VALUE, _grpc(Form.VALUE)),
    (NGINX, _nginx),
]


def assert_parity(question: Question) -> None:
    for wire, ask in WAYS:
        assert ask(question) == expected(wire, question), (wire, question)


class TestInProcess:
    """Codec, framing and dialect alone: what they get and what they give is the same question and the same answer."""

    @pytest.mark.shows("S13", "E28", "E86")
    @given(questions())
    def test_every_door_decides_as_the_engine_does(self, question: Question) -> None:
        """Kind, reason, status, challenge, `Retry-After` and identity."""
        assert_parity(question)

    @pytest.mark.parametrize("question", BASES)
    def test_what_oddities_are_added_to_passes_without_them(self, question: Question) -> None:
        """So that a denial is the oddity's, and an allow one that must not be."""
        assert DOORS.engine(question).allows

    @pytest.mark.shows("S13", "E86")
    @pytest.mark.parametrize("place", PLACES)
    def test_one_oddity_is_judged_alike_by_every_door(self, place: str) -> None:
        """All that we know of, each in a request that is otherwise good."""
        for question in one_by_one(place):
            assert_parity(question)

    def test_a_url_is_judged_alike_by_every_door(self) -> None:
        """Only NGINX's dialect reads it, and only to hear the same."""
        for question in with_urls():
            assert_parity(question)

    @pytest.mark.shows("S13", "E86")
    @pytest.mark.parametrize("token", [*STATES, "unknown"])
    @pytest.mark.parametrize("target", ["/orders/1", "/me"])
    def test_every_token_ends_the_same_way_through_every_door(self, token: str, target: str) -> None:
        """Chance alone would leave some of them out."""
        question = Question(target=target, authorization=(f"Bearer {token}",))
        verdicts = {ask(question) for _, ask in WAYS}
        assert verdicts == {DOORS.engine(question)}

    @given(questions(), st.sampled_from([(MAP, Form.MAP), (RAW, Form.RAW), (VALUE, Form.VALUE)]), _cuts, _timeouts)
    def test_framing_changes_nothing(
        self, question: Question, form: tuple[str, Form], cuts: list[int], timeout: bytes | None
    ) -> None:
        """In however many pieces the message comes, and whatever the deadline says."""
        sent = DOORS.check_framed(frame(check_request(question, form[1])), cuts, timeout)
        assert read_check_response(unframed(sent), DOORS.guarded) == expected(form[0], question)

    @pytest.mark.shows("S50", "E13", "E17")
    @given(questions(), st.sampled_from(Form))
    def test_the_upstream_sees_our_identity_and_no_other(self, question: Question, form: Form) -> None:
        """Whatever copies the client sent, in whatever spelling, once Envoy has done what we tell it."""
        message = DOORS.check(check_request(question, form))
        decided = read_check_response(message, DOORS.guarded)
        assume(decided.allows)
        ours = CheckResponse.FromString(message).ok_response
        replaced = {option.header.key for option in ours.headers} | {*ours.headers_to_remove}
        upstream = [(name, value) for name, value in question.lines if name not in replaced]
        upstream += [(option.header.key, option.header.value) for option in ours.headers]
        guarded = {*DOORS.guarded} - {"authorization"}
        assert sorted((name, value) for name, value in upstream if _fold(name) in guarded) == list(decided.identity)
        assert not {*decided.absent, FAILURE_MODE_HEADER} & {name for name, _ in upstream}


# ---- through sockets --------------------------------------------------------------------------------------------

TIMEOUT_SECONDS = 5.0


def _grpc_call(channel: grpc.Channel, form: Form) -> Callable[[Question], Verdict]:
    check: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CHECK_PATH)
    return lambda question: read_check_response(
        check(check_request(question, form), timeout=TIMEOUT_SECONDS), DOORS.guarded
    )


def _http_call(port: int) -> Callable[[Question], Verdict]:
    """A client that sends octets as they are, which no HTTP library does."""

    def ask(question: Question) -> Verdict:
        lines = [(b"host", b"extauthz"), (b"connection", b"close"), *octets(nginx_lines(question))]
        head = b"".join(name + b": " + value + b"\r\n" for name, value in lines)
        answer = b""
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as connection:
            connection.sendall(b"GET /nginx HTTP/1.1\r\n" + head + b"\r\n")
            while piece := connection.recv(65536):
                answer += piece
        return _read_http(answer)

    return ask


_BY_SERVER_TOO = {b"connection", b"date", b"server"}


def _read_http(answer: bytes) -> Verdict:
    head, _, body = answer.partition(b"\r\n\r\n")
    status_line, *lines = head.split(b"\r\n")
    status = int(status_line.split(b" ")[1])
    pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    if status == BY_SERVER.status:
        return BY_SERVER
    assert body == b""
    return read_nginx_answer(status, [pair for pair in pairs if pair[0] not in _BY_SERVER_TOO], DOORS.guarded)


@pytest.fixture(scope="module")
def sockets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[tuple[str, Callable[[Question], Verdict]]]]:
    """Two running services, one for each gRPC server, and the same authorization server behind both."""
    (port,) = free_ports(1)
    with (
        StubServer(port, dict(REPLIES)) as stub,
        running(tmp_path_factory.mktemp("h2corn"), introspection=stub.url, policy=POLICY) as h2corn,
        running(
            tmp_path_factory.mktemp("grpcio"), introspection=stub.url, policy=POLICY, grpc_server="grpcio"
        ) as grpcio,
        grpc.insecure_channel(f"127.0.0.1:{h2corn.grpc}") as to_h2corn,
        grpc.insecure_channel(f"127.0.0.1:{grpcio.grpc}") as to_grpcio,
    ):
        yield [
            (MAP, _grpc_call(to_h2corn, Form.MAP)),
            (RAW, _grpc_call(to_h2corn, Form.RAW)),
            (MAP, _grpc_call(to_grpcio, Form.MAP)),
            (RAW, _grpc_call(to_grpcio, Form.RAW)),
            (OVER_HTTP, _http_call(h2corn.gateway)),
            (OVER_HTTP, _http_call(grpcio.gateway)),
        ]


def _on_one_line(question: Question) -> Question:
    """Without line ends: in a head of HTTP they are the end of the line, so there is no way to send them."""

    def flat(text: str) -> str:
        return text.replace("\r", "\x0b").replace("\n", "\x0b")

    return Question(
        method=flat(question.method),
        target=flat(question.target),
        host=flat(question.host),
        authorization=tuple(map(flat, question.authorization)),
        headers=tuple((name, flat(value)) for name, value in question.headers),
    )


@pytest.mark.shows("S13", "E86")
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(question=questions().map(_on_one_line))
def test_running_services_decide_as_the_engine_does(
    sockets: list[tuple[str, Callable[[Question], Verdict]]], question: Question
) -> None:
    """Nor do sockets, servers, the real resolver and its cache change the answer."""
    for wire, ask in sockets:
        assert ask(question) == expected(wire, question), wire


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.name)
def test_running_services_differ_as_the_list_says(
    sockets: list[tuple[str, Callable[[Question], Verdict]]], difference: Difference
) -> None:
    """Chance alone would leave some of them out."""
    for wire, ask in sockets:
        assert ask(difference.example) == expected(wire, difference.example), wire


class TestDifferences:
    """The list of excuses hides nothing."""

    @pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.name)
    def test_each_is_needed(self, difference: Difference) -> None:
        """Its example ends otherwise than in the engine, and as it says."""
        assert difference.concerns(difference.example)
        for wire in difference.wires:
            assert expected(wire, difference.example) != DOORS.engine(difference.example)
        assert_parity(difference.example)

    @given(questions())
    def test_none_turns_a_denial_into_an_allow(self, question: Question) -> None:
        """Except for blanks that HTTP takes away before anybody sees them, and a host that nobody else named."""
        assume(question == _stripped(question) and (question.host or not _url(question)))
        if not DOORS.engine(question).allows:
            assert not any(expected(wire, question).allows for wire in EVERY)


def test_the_questions_are_no_straw_men() -> None:
    """Of a thousand, many pass, and the others have every fault that a request can have; tokens have a test of their own."""
    seen: Counter[str] = Counter()

    @settings(derandomize=True, database=None, max_examples=1000)
    @given(questions())
    def collect(question: Question) -> None:
        seen[DOORS.engine(question).reason] += 1

    collect()
    assert min(seen["allowed"], seen["public"]) > 50, seen
    assert seen.keys() >= {
        *("bad_method", "bad_host", "bad_path", "no_route", "insufficient_scope", "inactive"),
        *("no_credentials", "unsupported_scheme", "malformed_credentials", "several_credentials"),
        "server_answer_invalid",
    }
