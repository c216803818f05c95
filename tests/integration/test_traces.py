"""The trace of a request reaches the authorization server, through every door that hears of it."""

from collections.abc import Iterator

import grpc
import pytest

from extauthz._gen.extauthz_envoy_pb2 import CheckRequest
from extauthz.wire.envoy.service import CHECK_PATH
from support.running import Running, running
from support.serving import get, metadata
from support.stub_server import StubServer, active

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


@pytest.fixture(scope="module")
def stub() -> Iterator[StubServer]:
    with StubServer(dict.fromkeys(("nginx", "metadata", "header", "none", "broken"), active)) as server:
        yield server


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, stub: StubServer) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("traces"), introspection=stub.url) as started:
        yield started


def check(service: Running, token: str, *, header: str = "", call_metadata: str = "") -> None:
    question = CheckRequest()
    http = question.attributes.request.http
    http.method, http.path, http.host = "GET", "/orders/1", "api.example.com"
    http.headers["authorization"] = f"Bearer {token}"
    if header:
        http.headers["traceparent"] = header
    with grpc.insecure_channel(f"127.0.0.1:{service.grpc}") as channel:
        method: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CHECK_PATH)
        sent = (("traceparent", call_metadata),) if call_metadata else ()
        method(question.SerializeToString(), metadata=sent, timeout=10, wait_for_ready=True)


@pytest.mark.shows("E75")
def test_a_trace_goes_on_to_the_authorization_server(service: Running, stub: StubServer) -> None:
    """As a child of what came: in NGINX's header, in the metadata of Envoy's call, or in the request that it tells of."""
    get(
        service.gateway,
        "/nginx",
        [*metadata("/orders/1"), ("Authorization", "Bearer nginx"), ("traceparent", TRACEPARENT)],
    )
    check(service, "metadata", call_metadata=TRACEPARENT, header=f"00-{'a' * 32}-{PARENT}-01")
    check(service, "header", header=TRACEPARENT)
    for token in ("nginx", "metadata", "header"):
        version, trace, parent, flags = stub.traces[token].split("-")
        assert (version, trace, flags) == ("00", TRACE, "01"), token
        assert parent != PARENT


@pytest.mark.shows("E75")
def test_no_trace_is_made_up_and_a_broken_one_begins_anew(service: Running, stub: StubServer) -> None:
    check(service, "none")
    check(service, "broken", header=f"00-{TRACE}-{PARENT}")
    assert stub.traces["none"] == ""
    assert TRACE not in stub.traces["broken"]
    assert len(stub.traces["broken"].split("-")[1]) == 32


def test_whoever_joins_a_question_changes_nothing_about_its_trace(service: Running, stub: StubServer) -> None:
    """The answer is remembered: the second request asks nothing, whatever trace it belongs to."""
    before = dict(stub.traces)
    check(service, "header", call_metadata=f"00-{'b' * 32}-{PARENT}-01")
    assert stub.traces == before
