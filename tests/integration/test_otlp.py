"""Spans of a real service reach a collector over HTTP, and no secret goes with them."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from extauthz._gen.extauthz_envoy_pb2 import CheckRequest
from extauthz.cli.processes import free_ports
from extauthz.wire.envoy.service import CHECK_PATH
from support.running import Running, running
from support.serving import get, metadata, wait_until
from support.stub_server import SECRET, StubServer, active

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CANARY = "c4n4ry"


class Collector:
    """Takes what is posted to /v1/traces."""

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self.bodies: list[bytes] = []
        bodies = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.path == "/v1/traces":
                    bodies.append(body)
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def spans(self) -> list[Span]:
        """All that came."""
        return [
            span
            for body in self.bodies
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


@pytest.fixture(scope="module")
def stub() -> Iterator[StubServer]:
    with StubServer(dict.fromkeys((f"{CANARY}-nginx", f"{CANARY}-envoy"), active)) as server:
        yield server


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture
def service(tmp_path_factory: pytest.TempPathFactory, stub: StubServer, collector: Collector) -> Iterator[Running]:
    tracing = f'tracing: {{endpoint: "http://127.0.0.1:{collector.port}/v1/traces", sample: 0}}'
    with running(tmp_path_factory.mktemp("otlp"), introspection=stub.url, extra=tracing) as started:
        yield started


@pytest.mark.shows("E75", "S34", "N43")
def test_spans_of_both_doors_arrive_and_no_canary_does(
    service: Running, stub: StubServer, collector: Collector
) -> None:
    """From NGINX's header and from the metadata of Envoy's call down to the authorization server."""
    parent = f"00-{TRACE}-{PARENT}-01"
    target = f"/orders/1?access_token={CANARY}"
    headers = [*metadata(target), ("Authorization", f"Bearer {CANARY}-nginx"), ("traceparent", parent)]
    get(service.gateway, "/nginx", headers)
    get(service.gateway, "/nginx", [*metadata(target), ("Authorization", f"Bearer {CANARY}-unsampled")])
    question = CheckRequest()
    http = question.attributes.request.http
    http.method, http.path, http.host = "GET", target, "api.example.com"
    http.headers["authorization"] = f"Bearer {CANARY}-envoy"
    with grpc.insecure_channel(f"127.0.0.1:{service.grpc}") as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(CHECK_PATH)
        call(question.SerializeToString(), metadata=(("traceparent", parent),), timeout=30, wait_for_ready=True)
    wait_until(lambda: len(collector.spans()) >= 6)
    spans = collector.spans()
    assert {span.trace_id.hex() for span in spans} == {TRACE}, "what has no parent is sampled by the file: never"
    decisions = [span for span in spans if span.name == "authorize"]
    assert [span.parent_span_id.hex() for span in decisions] == [PARENT] * 2
    questions = {f"00-{TRACE}-{span.span_id.hex()}-01" for span in spans if span.name == "introspect"}
    assert questions == {stub.traces[f"{CANARY}-nginx"], stub.traces[f"{CANARY}-envoy"]}
    doors = {each.value.string_value for span in decisions for each in span.attributes if each.key == "extauthz.door"}
    assert doors == {"nginx", "envoy"}
    sent = b"".join(collector.bodies)
    assert not [canary for canary in (CANARY, SECRET) if canary.encode() in sent]
