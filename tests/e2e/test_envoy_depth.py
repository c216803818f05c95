"""What only a real Envoy can show: the access log's metadata, its failure mode in an outage, its deadline, a drain."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cases import ANSWERS
from support.envoy import RunningEnvoy, envoy, running_envoy
from support.http1 import exchange
from support.load import under_load
from support.running import Running, running
from support.serving import records, wait_until
from support.stub_server import Reply, StubServer, active

HOST = [("Host", "api.example.com")]


@pytest.fixture
def stub() -> Iterator[StubServer]:
    with StubServer(dict(ANSWERS)) as server:
        yield server


@pytest.fixture
def service(tmp_path: Path, stub: StubServer) -> Iterator[Running]:
    with running(tmp_path, introspection=stub.url) as started:
        yield started


def get(port: int, target: str, token: str) -> tuple[int, dict[str, list[str]], bytes]:
    return exchange(port, "GET", target, [*HOST, ("Authorization", f"Bearer {token}")])


@pytest.mark.shows("E22", "E77")
def test_the_access_log_names_who_and_why_on_an_allow_and_on_a_denial(tmp_path: Path, service: Running) -> None:
    with running_envoy(tmp_path, service.gateway) as started:
        get(started.port, "/orders/1", "reader")
        get(started.port, "/orders/export", "reader")
        allowed, denied = started.log_line("/orders/1"), started.log_line("/orders/export")
    assert (allowed["sub"], allowed["reason"], allowed["rule"]) == ("u1", "allowed", "read-order")
    assert (denied["sub"], denied["reason"], denied["rule"]) == ("u1", "insufficient_scope", "export")
    ids = {str(line["decision_id"]) for line in (allowed, denied)}
    assert len(ids) == 2
    wait_until(lambda: ids <= {line["decision_id"] for line in records(tmp_path / "audit.jsonl")})
    assert "Bearer" not in str(allowed) + str(denied)


FAIL_OPEN = {
    "failure_mode_allow: false": "failure_mode_allow: true",
}


@pytest.mark.shows("E38", "E39")
def test_an_outage_is_denied_even_where_envoy_fails_open(tmp_path: Path, service: Running) -> None:
    """`on_outage: deny`, the default: an authorization server that is down opens nothing."""
    with envoy(tmp_path, service.gateway, edit=FAIL_OPEN) as port:
        assert get(port, "/orders/1", "status-500")[0] == 503


@pytest.mark.shows("E38", "E39")
def test_an_outage_is_the_gateways_to_decide_where_the_operator_says_so(tmp_path: Path, stub: StubServer) -> None:
    """`on_outage: gateway`: Envoy counts an error and applies its own failure mode; a denial stays a denial."""
    with (
        running(tmp_path, introspection=stub.url, extra="on_outage: gateway") as service,
        envoy(tmp_path, service.gateway, edit=FAIL_OPEN) as port,
    ):
        status, _, body = get(port, "/orders/1", "status-500")
        assert status == 200
        names = [name.lower() for name, _ in json.loads(body)["headers"]]
        assert "x-auth-sub" not in names
        assert get(port, "/orders/1", "unknown")[0] == 401


@pytest.mark.shows("E38")
def test_an_envoy_that_does_not_know_error_responses_denies(tmp_path: Path, stub: StubServer) -> None:
    """Before 1.37 the message has no such field: a plain 403, never an allow."""
    with (
        running(tmp_path, introspection=stub.url, extra="on_outage: gateway") as service,
        envoy(tmp_path, service.gateway, release="oldest", edit=FAIL_OPEN) as port,
    ):
        assert get(port, "/orders/1", "status-500")[0] == 403


@pytest.mark.shows("E61", "N9")
def test_we_answer_before_envoys_deadline(tmp_path: Path, service: Running) -> None:
    """A server slower than Envoy's patience is our 503 with Retry-After, never a timeout that Envoy has to judge."""
    with envoy(tmp_path, service.gateway, edit={"timeout: 20s  #": "timeout: 5s  #"}) as port:
        status, headers, body = get(port, "/orders/1", "slow")
    assert (status, headers["retry-after"], json.loads(body)) == (503, ["1"], {"error": "server_timeout"})


@pytest.mark.shows("E40")
def test_a_gateway_may_ask_for_more_scopes_and_never_for_less(tmp_path: Path, stub: StubServer) -> None:
    extension = """
                  envoy.filters.http.ext_authz:
                    "@type": type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute
                    check_settings: {context_extensions: {required_scope: "extra"}}"""
    route = "- match: {prefix: /}\n                route: {cluster: app}"
    edit = {route: f"{route}\n                typed_per_filter_config:{extension}"}
    stub.replies["more"] = lambda: active(scope="orders:read extra")
    stub.replies["only"] = lambda: active(scope="extra")
    folder = tmp_path / "envoy"
    folder.mkdir()
    with (
        running(tmp_path, introspection=stub.url, extra="context_extensions: true") as service,
        envoy_after_first_answer(folder, service.gateway, edit) as port,
    ):
        assert get(port, "/orders/1", "reader")[0] == 403
        status, headers, _ = get(port, "/orders/1", "only")
        assert status == 403
        assert headers["www-authenticate"][0].endswith('scope="orders:read extra"')
        assert get(port, "/orders/1", "more")[0] == 200


@pytest.mark.shows("E41")
def test_metadata_of_a_route_does_the_same(tmp_path: Path, stub: StubServer) -> None:
    """Where Envoy is told to send it."""
    route = "- match: {prefix: /}\n                route: {cluster: app}"
    metadata = 'metadata: {filter_metadata: {extauthz: {required_scope: "extra"}}}'
    edit = {
        route: f"{route}\n                {metadata}",
        "clear_route_cache: false": "route_metadata_context_namespaces: [extauthz]\n              clear_route_cache: false",
    }
    stub.replies["more"] = lambda: active(scope="orders:read extra")
    folder = tmp_path / "envoy"
    folder.mkdir()
    with (
        running(tmp_path, introspection=stub.url, extra="context_extensions: true") as service,
        envoy_after_first_answer(folder, service.gateway, edit) as port,
    ):
        assert get(port, "/orders/1", "reader")[0] == 403
        assert get(port, "/orders/1", "more")[0] == 200


@contextmanager
def envoy_after_first_answer(folder: Path, authorizer: int, edit: dict[str, str]) -> Iterator[int]:
    """As `envoy`, where the gateway asks for scopes at /healthz too: that is public, so it is answered with 500."""
    with running_envoy(folder, authorizer, edit=edit, healthy=500) as started:
        yield started.port


@pytest.mark.shows("E69")
def test_a_drain_under_load_loses_no_request(tmp_path: Path, stub: StubServer) -> None:
    """Two instances behind one Envoy; one is told to stop: health says so first, and it answers while Envoy notices."""
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    stub.replies["reader"] = lambda: Reply(body=active().body)
    with (
        running(first, introspection=stub.url, drain_delay="60s") as one,
        running(second, introspection=stub.url) as two,
    ):
        endpoint = f"- endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {one.gateway}}}}}}}"
        edit = {endpoint: f"{endpoint}\n        {endpoint.replace(str(one.gateway), str(two.gateway))}"}
        with running_envoy(tmp_path, one.gateway, edit=edit) as started, under_load(*_askers(started)) as seen:
            wait_until(lambda: started.counter("cluster.extauthz.membership_healthy") == 2)
            seen.wait_for(100)
            os.kill(one.process.pid, signal.SIGTERM)
            seen.phase = "draining"
            wait_until(lambda: started.counter("cluster.extauthz.membership_healthy") == 1)
            seen.wait_for(50)
            os.kill(one.process.pid, signal.SIGTERM)  # the rest of the delay is not needed
            wait_until(lambda: not one.process.running)
            seen.phase = "one less"
            seen.wait_for(50)
    assert {status for phase in seen.answers.values() for status in phase} == {200}


@pytest.mark.shows("E71")
@pytest.mark.parametrize("grpc_server", ["h2corn", "grpcio"])
def test_connections_that_envoy_replaces_under_load_cost_no_request(
    tmp_path: Path, stub: StubServer, grpc_server: str
) -> None:
    """Every tenth of a second, as a fleet is rebalanced."""
    protocol = '"@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions\n'
    edit = {protocol: f"{protocol}        common_http_protocol_options: {{max_connection_duration: 0.1s}}\n"}
    with (
        running(tmp_path, introspection=stub.url, grpc_server=grpc_server) as service,
        running_envoy(tmp_path, service.grpc, edit=edit) as started,
        under_load(*_askers(started)) as seen,
    ):
        seen.wait_for(100)
        wait_until(lambda: started.counter("cluster.extauthz.upstream_cx_max_duration_reached") > 5)
    assert set(seen.during(seen.phase)) == {200}


def _askers(started: RunningEnvoy) -> list[Callable[[], int]]:
    """Four that ask with a good token."""
    return [lambda: get(started.port, "/orders/1", "reader")[0]] * 4
