"""One question, one decision: whatever a client sends, every door says what the engine says.

Most of it needs no socket: codec, framing and dialects are called as functions. A smaller sample goes through running
services. What a wire cannot carry is in `differences`, by name and with the reason; there is no other excuse.
"""

from collections import Counter
from collections.abc import Iterator

import grpc
import pytest
from hypothesis import HealthCheck, assume, given, settings, strategies as st

from extauthz._gen.extauthz_envoy_pb2 import CheckResponse
from extauthz.core.identity import FAILURE_MODE_HEADER
from fuzz.doors import DOORS, POLICY, REPLIES, STATES, unframed
from fuzz.oddities import BASES, PLACES, one_by_one, questions, with_urls
from fuzz.questions import Form, Question, check_request, frame
from fuzz.verdicts import read_check_response
from fuzz.wires import EVERY, GRPC, HTTP, MAP, NGINX, RAW, Ask, grpc_call, grpc_codec, http_call, http_door, over_socket
from property.carriage import stripped
from property.differences import DIFFERENCES, Difference, expected
from support.running import running
from support.stub_server import StubServer

# ---- without sockets --------------------------------------------------------------------------------------------

_timeouts = st.sampled_from([None, b"1S", b"200m", b"99999999H", b"0n", b"", b"S", b"-1S", b"1.5S"])
_cuts = st.lists(st.integers(0, 10_000), max_size=4)

WAYS: list[tuple[str, Ask]] = [
    *((wire, grpc_codec(DOORS, form)) for wire, form in GRPC.items()),
    (MAP, grpc_codec(DOORS, Form.MAP, title_case=True)),
    (RAW, grpc_codec(DOORS, Form.RAW, title_case=True)),
    *((wire, http_door(DOORS, wire)) for wire in HTTP),
]


def assert_parity(question: Question) -> None:
    for wire, ask in WAYS:
        assert ask(question) in expected(wire, question), (wire, question)


class TestInProcess:
    """Codec, framing and dialects alone: what they get and what they give is the same question and the same answer."""

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

    @pytest.mark.parametrize("target", ["/orders/1", "/me"])
    def test_every_token_ends_the_same_way_through_every_door(self, target: str) -> None:
        """Chance alone would leave some of them out."""
        for token in (*STATES, "unknown"):
            assert_parity(Question(target=target, authorization=(f"Bearer {token}",)))

    @given(questions(), st.sampled_from(sorted(GRPC.items())), _cuts, _timeouts)
    def test_framing_changes_nothing(
        self, question: Question, way: tuple[str, Form], cuts: list[int], timeout: bytes | None
    ) -> None:
        """In however many pieces the message comes, and whatever the deadline says."""
        wire, form = way
        sent = DOORS.check_framed(frame(check_request(question, form)), cuts, timeout)
        assert read_check_response(unframed(sent), DOORS.guarded) in expected(wire, question)

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
        seen = [(name, value) for name, value in upstream if name.replace("_", "-").replace(".", "-") in guarded]
        assert sorted(seen) == list(decided.identity)
        assert not {*decided.absent, FAILURE_MODE_HEADER} & {name for name, _ in upstream}


# ---- through sockets --------------------------------------------------------------------------------------------

Ways = list[tuple[str, Ask]]
PATIENCE = "20s"
"""None of the tokens takes long: on a busy machine, an answer that came late would be a difference."""


@pytest.fixture(scope="module")
def sockets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    """Two running services, one for each gRPC server, and the same authorization server behind both."""
    folders = [tmp_path_factory.mktemp(name) for name in ("h2corn", "grpcio")]
    guarded = DOORS.guarded
    with (
        StubServer(dict(REPLIES)) as stub,
        running(folders[0], introspection=stub.url, policy=POLICY, timeout=PATIENCE) as h2corn,
        running(folders[1], introspection=stub.url, policy=POLICY, timeout=PATIENCE, grpc_server="grpcio") as grpcio,
        grpc.insecure_channel(f"127.0.0.1:{h2corn.grpc}") as to_h2corn,
        grpc.insecure_channel(f"127.0.0.1:{grpcio.grpc}") as to_grpcio,
    ):
        yield [
            *((wire, grpc_call(to_h2corn, form, guarded)) for wire, form in GRPC.items()),
            *((wire, grpc_call(to_grpcio, form, guarded)) for wire, form in GRPC.items()),
            *((over_socket(wire), http_call(h2corn.gateway, wire, guarded)) for wire in HTTP),
            (over_socket(NGINX), http_call(grpcio.gateway, NGINX, guarded)),
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
@settings(max_examples=max(60, settings().max_examples // 10), suppress_health_check=[HealthCheck.too_slow])
@given(question=questions().map(_on_one_line))
def test_running_services_decide_as_the_engine_does(sockets: Ways, question: Question) -> None:
    """Nor do sockets, servers, the real resolver and its cache change the answer."""
    for wire, ask in sockets:
        assert ask(question) in expected(wire, question), wire


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.name)
def test_running_services_differ_as_the_list_says(sockets: Ways, difference: Difference) -> None:
    """Chance alone would leave some of them out."""
    for wire, ask in sockets:
        seen = ask(difference.example)
        assert seen in expected(wire, difference.example), wire
        if difference.perhaps and wire in difference.wires:
            assert seen == difference.becomes, "it is taken as it is: what is perhaps about it?"


class TestDifferences:
    """The list of excuses hides nothing."""

    @pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.name)
    def test_each_is_needed(self, difference: Difference) -> None:
        """Its example ends otherwise than in the engine, and as it says."""
        for wire in difference.wires:
            assert difference.concerns(wire, difference.example)
            assert DOORS.engine(difference.example) not in expected(wire, difference.example)[:1]
        assert_parity(difference.example)

    @given(questions())
    def test_none_turns_a_denial_into_an_allow(self, question: Question) -> None:
        """Except for blanks around values, a host that nobody else named, and one with a slash, which gateways refuse."""
        assume(question == stripped(NGINX, question) and "/" not in question.host)
        assume(question.host or all(name != "x-original-url" for name, _ in question.headers))
        if not DOORS.engine(question).allows:
            assert not any(told.allows for wire in EVERY for told in expected(wire, question))


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
