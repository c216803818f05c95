"""The gateway files that we ship: real gateways accept them, and they are as strict as they look.

No extauthz here: a stand-in says on the wire exactly what a row wants, or there is nobody to ask.
"""

import http.client
import re
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from extauthz.cli.processes import Process, envoy_command, free_ports, nginx_command
from extauthz.cli.upstream import Upstream
from extauthz.config.service_schema import AuthorizationServer
from support.gateways import DEADLINES, envoy_binary, patient
from support.serving import wait_until

ROOT = Path(__file__).parents[2]
ENVOY = ROOT / "gateway/envoy.yaml"
NGINX = ROOT / "gateway/nginx.conf"
FORGED = {
    "X-Auth-Sub": "root",
    "X-Auth-Scope": "admin",
    "X.Auth.Sub": "root",
    "X-Envoy-Auth-Failure-Mode-Allowed": "true",
    "X-HTTP-Method-Override": "DELETE",
    "X-HTTP-Method": "DELETE",
    "X-Method-Override": "DELETE",
    "X-Original-URL": "/admin",
    "X-Original-URI": "/admin",
    "X-Rewrite-URL": "/admin",
}
CHALLENGE = 'Bearer realm="api", error="insufficient_scope"'

Headers = Mapping[str, str]
Settings = dict[str, Any]
Response = http.client.HTTPResponse


class TestTheGatewayAcceptsTheFile:
    def run(self, command: list[str]) -> None:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=150)
        assert done.returncode == 0, done.stdout + done.stderr

    @pytest.mark.shows("E87")
    @pytest.mark.parametrize("release", ["oldest", "newest"])
    @pytest.mark.parametrize("file", ["envoy.yaml", "envoy-http-service.yaml"])
    def test_envoy(self, release: str, file: str) -> None:
        command = envoy_command(ENVOY.with_name(file))[1:]
        self.run([envoy_binary(release), *command, "--mode", "validate"])

    def test_nginx(self, tmp_path: Path) -> None:
        self.run([*nginx_command(NGINX, tmp_path), "-t"])

    def test_nginx_writes_below_its_prefix_only(self) -> None:
        paths = re.findall(r"(?m)^\s*(?:pid|lock_file|access_log|\w+_temp_path)\s+([^\s;]+)", NGINX.read_text())
        assert len(paths) == 8
        assert not [path for path in paths if path.startswith("/")]


@pytest.mark.parametrize("file", DEADLINES)
def test_a_gateway_waits_longer_than_extauthz_does(file: str) -> None:
    """With what both ship: a slow authorization server is our 503, which says so, and not the gateway's own."""
    shipped, _ = DEADLINES[file][0]
    assert shipped in (ROOT / "gateway" / file).read_text()
    (seconds,) = re.findall(r"timeout:? +(\d+)s", shipped)
    assert int(seconds) >= 2 * AuthorizationServer.model_fields["timeout"].default


DOCUMENT: Settings = yaml.safe_load(ENVOY.read_text())
MANAGER: Settings = DOCUMENT["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
FILTERS: dict[str, Settings] = {each["name"].split(".")[-1]: each["typed_config"] for each in MANAGER["http_filters"]}
EXT_AUTHZ = FILTERS["ext_authz"]
CLUSTER: Settings = {each["name"]: each for each in DOCUMENT["static_resources"]["clusters"]}["extauthz"]


class TestEnvoyIsStrict:
    def test_no_answer_is_a_503_and_never_an_allow(self) -> None:
        assert EXT_AUTHZ["failure_mode_allow"] is False
        assert EXT_AUTHZ["failure_mode_allow_header_add"] is False
        assert EXT_AUTHZ["status_on_error"] == {"code": "ServiceUnavailable"}
        assert not {"filter_enabled", "shadow_mode"} & EXT_AUTHZ.keys()

    def test_there_is_time_to_introspect_and_one_retry(self) -> None:
        service = EXT_AUTHZ["grpc_service"]
        assert service["envoy_grpc"] == {"cluster_name": "extauthz"}
        assert service["timeout"] == "1s"
        assert service["retry_policy"]["num_retries"] == 1

    def test_it_sends_what_we_read_and_no_more(self) -> None:
        names = [pattern["exact"] for pattern in EXT_AUTHZ["allowed_headers"]["patterns"]]
        assert names == ["authorization", "x-request-id", "traceparent", "origin", "access-control-request-method"]
        assert EXT_AUTHZ["encode_raw_headers"] is True
        assert "with_request_body" not in EXT_AUTHZ

    def test_an_answer_may_change_the_identity_and_nothing_else(self) -> None:
        rules = EXT_AUTHZ["decoder_header_mutation_rules"]
        assert EXT_AUTHZ["validate_mutations"] is True
        assert EXT_AUTHZ["clear_route_cache"] is False
        assert rules["disallow_all"] is True
        assert rules["disallow_is_error"] is True
        allowed = re.compile(rules["allow_expression"]["regex"])
        assert all(allowed.search(name) for name in ("x-auth-sub", "x_auth_scope", "x.auth-sub", "authorization"))
        assert not any(allowed.search(name) for name in (":path", "host", "x-auth-subject", "my-authorization"))

    def test_the_path_that_is_judged_is_the_path_that_is_served(self) -> None:
        assert MANAGER["normalize_path"] is True
        assert MANAGER["merge_slashes"] is True
        assert MANAGER["path_with_escaped_slashes_action"] == "REJECT_REQUEST"

    @pytest.mark.shows("E18")
    def test_it_does_not_believe_the_client(self) -> None:
        assert MANAGER["use_remote_address"] is True
        assert MANAGER["common_http_protocol_options"] == {"headers_with_underscores_action": "REJECT_REQUEST"}

    @pytest.mark.shows("S58", "E88")
    def test_forgeries_are_removed_before_the_check_on_every_route(self) -> None:
        assert list(FILTERS) == ["header_mutation", "ext_authz", "router"]
        removed = {each.get("remove") for each in FILTERS["header_mutation"]["mutations"]["request_mutations"]}
        assert {name.lower() for name in FORGED if "." not in name} <= removed

    def test_one_exact_route_is_not_checked(self) -> None:
        (host,) = MANAGER["route_config"]["virtual_hosts"]
        unchecked = [route["match"] for route in host["routes"] if "typed_per_filter_config" in route]
        assert unchecked == [{"path": "/gateway-health"}]

    def test_an_instance_that_drains_is_not_asked(self) -> None:
        assert CLUSTER["common_lb_config"]["healthy_panic_threshold"] == {"value": 0}
        (check,) = CLUSTER["health_checks"]
        assert check["grpc_health_check"] == {"service_name": "envoy.service.auth.v3.Authorization"}
        assert "no_traffic_interval" in check, "the default is 60 s without any request let through"

    def test_the_access_log_has_no_query_and_no_token(self) -> None:
        log = str(MANAGER["access_log"]).upper()
        assert "%PATH(NQ)%" in log
        assert not [word for word in ("REQ(:PATH)", "AUTHORIZATION)", "REFERER", "COOKIE") if word in log]


class StandIn(BaseHTTPRequestHandler):
    """Answers NGINX with what the bearer token spells: `401+WWW-Authenticate=x+X-Authz-Status=400`."""

    protocol_version = "HTTP/1.1"
    asked: ClassVar[list[list[tuple[str, str]]]] = []
    connections: ClassVar[list[object]] = []

    def setup(self) -> None:
        super().setup()
        self.connections.append(self.client_address)

    def do_GET(self) -> None:
        self.asked.append(self.headers.items())
        status, *headers = self.headers["Authorization"].removeprefix("Bearer ").split("+")
        self.send_response_only(int(status))
        for header in ["Content-Length=0", *headers]:
            self.send_header(*header.split("=", 1))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Gateway:
    """A running gateway, the application behind it, and what the gateway writes."""

    port: int
    upstream: Upstream
    log: Path

    def ask(self, target: str, headers: Headers | None = None, method: str = "GET") -> tuple[Response, str]:
        """Send a request; the answer and its body."""
        self.upstream.received.clear()
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, target, headers=headers or {})
            response = connection.getresponse()
            return response, response.read().decode()

    def was_served(self) -> bool:
        return bool(self.upstream.received)


@pytest.fixture(scope="module")
def envoy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Envoy with nobody to ask."""
    folder = tmp_path_factory.mktemp("envoy")
    port, admin, authorizer, app = free_ports(4)
    config = folder / "envoy.yaml"
    config.write_text(patient("envoy.yaml", {10000: port, 9901: admin, 9191: authorizer, 10002: app}))
    command = [*envoy_command(config), "--file-flush-interval-msec", "100"]
    with Upstream(app) as upstream, Process("Envoy", command, log=folder / "log") as process:
        process.wait_for_port(port)
        yield Gateway(port, upstream, folder / "log")


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """NGINX with the stand-in to ask."""
    folder = tmp_path_factory.mktemp("nginx")
    port, authorizer, app = free_ports(3)
    config = folder / "nginx.conf"
    config.write_text(patient("nginx.conf", {10001: port, 9191: authorizer, 10002: app}))
    with (
        ThreadingHTTPServer(("127.0.0.1", authorizer), StandIn) as stand_in,
        Upstream(app) as upstream,
        Process("NGINX", nginx_command(config, folder), log=folder / "log") as process,
    ):
        stand_in.daemon_threads = True
        stand_in.block_on_close = False
        threading.Thread(target=stand_in.serve_forever, args=(0.05,), daemon=True).start()
        process.wait_for_port(port)
        yield Gateway(port, upstream, folder / "log")
        stand_in.shutdown()


@pytest.fixture
def nginx_alone(tmp_path: Path) -> Iterator[Gateway]:
    """NGINX with nobody to ask."""
    port, nobody, app = free_ports(3)
    config = tmp_path / "nginx.conf"
    config.write_text(patient("nginx.conf", {10001: port, 9191: nobody, 10002: app}))
    with Upstream(app) as upstream, Process("NGINX", nginx_command(config, tmp_path), log=tmp_path / "log") as process:
        process.wait_for_port(port)
        yield Gateway(port, upstream, tmp_path / "log")


class TestEnvoyWithNobodyToAsk:
    @pytest.mark.shows("E89")
    def test_nothing_passes(self, envoy: Gateway) -> None:
        response, _ = envoy.ask("/orders", {"Authorization": "Bearer x"})
        assert (response.status, response.headers["Retry-After"]) == (503, "1")
        assert not envoy.was_served()
        wait_until(lambda: '"flags":"UAEX"' in envoy.log.read_text())

    @pytest.mark.shows("S50", "S58", "E17", "E88")
    def test_the_unchecked_route_is_served_without_what_was_forged(self, envoy: Gateway) -> None:
        assert envoy.ask("/gateway-health", FORGED)[0].status == 200
        (received,) = envoy.upstream.received
        assert [name for name in FORGED if received.values(name)] == []

    @pytest.mark.shows("E90")
    @pytest.mark.parametrize("target", ["/a%2fb", "/a%5Cb", "/orders/..%2fgateway-health"])
    def test_an_escaped_slash_is_refused(self, envoy: Gateway, target: str) -> None:
        assert envoy.ask(target)[0].status == 400
        assert not envoy.was_served()

    @pytest.mark.shows("S50", "E18")
    def test_an_underscore_in_a_header_name_is_refused(self, envoy: Gateway) -> None:
        assert envoy.ask("/gateway-health", {"X_Auth_Sub": "root"})[0].status == 400
        assert not envoy.was_served()


def bearer(wire: str) -> Headers:
    return {"Authorization": f"Bearer {wire}"}


class TestNginxRestoresTheTruth:
    @pytest.mark.shows("S11", "N58")
    @pytest.mark.parametrize(
        ("wire", "expected"),
        [
            (f"401+WWW-Authenticate={CHALLENGE}+X-Authz-Reason=expired", (401, [CHALLENGE], None, "expired")),
            (f"401+WWW-Authenticate={CHALLENGE}+X-Authz-Status=401", (401, [CHALLENGE], None, "unauthorized")),
            (f"401+WWW-Authenticate={CHALLENGE}+X-Authz-Status=400", (400, [CHALLENGE], None, "bad_request")),
            (f"403+X-Authz-Challenge={CHALLENGE}+X-Authz-Status=403", (403, [CHALLENGE], None, "forbidden")),
            ("403+X-Authz-Status=403+X-Authz-Reason=no_route", (403, [], None, "no_route")),
            ("403+X-Authz-Status=400+X-Authz-Reason=bad_path", (400, [], None, "bad_path")),
            ("500+X-Authz-Status=503+Retry-After=7+X-Authz-Reason=busy", (503, [], "7", "busy")),
            ("500+X-Authz-Status=429+Retry-After=9", (429, [], "9", "authorizer_unavailable")),
            ("500+X-Authz-Status=500+X-Authz-Reason=internal", (500, [], None, "internal")),
            ("400", (400, [], None, "bad_request")),
            ("500", (503, [], "1", "authorizer_unavailable")),
            ("404", (503, [], "1", "authorizer_unavailable")),
            ("302+Location=/", (503, [], "1", "authorizer_unavailable")),
            ("403+X-Authz-Status=200", (503, [], "1", "authorizer_unavailable")),
            ('403+X-Authz-Status=403+X-Authz-Reason=","x":"', (403, [], None, "forbidden")),
        ],
    )
    def test_denial(self, nginx: Gateway, wire: str, expected: tuple[int, list[str], str | None, str]) -> None:
        """Status, challenges, `Retry-After`, and the word in the body."""
        status, challenges, retry_after, error = expected
        response, body = nginx.ask("/orders", bearer(wire))
        assert response.status == status
        assert response.headers.get_all("WWW-Authenticate", []) == challenges
        assert response.headers.get("Retry-After") == retry_after
        assert response.headers.get_all("Cache-Control") == ["no-store"]
        assert response.headers["Content-Type"] == "application/json"
        assert body == f'{{"error":"{error}"}}'
        assert not nginx.was_served()

    @pytest.mark.shows("S50", "S58", "N59")
    def test_an_allow_brings_the_identity_and_nothing_forged(self, nginx: Gateway) -> None:
        response, _ = nginx.ask("/orders?x=1", {**FORGED, **bearer("200+X-Auth-Sub=alice+X-Auth-Scope=")})
        assert response.status == 200
        (received,) = nginx.upstream.received
        assert received.target == "/orders?x=1"
        assert {name: received.values(name) for name in FORGED if received.values(name)} == {"X-Auth-Sub": ["alice"]}

    @pytest.mark.shows("N59")
    def test_the_question_has_the_raw_path_and_nothing_of_the_client_but_the_token(self, nginx: Gateway) -> None:
        nginx.ask("/a%2Fb/../c?token=1", {**FORGED, "Cookie": "c", "X-Forwarded-Uri": "/x", **bearer("200")}, "POST")
        question = dict(StandIn.asked[-1])
        assert re.fullmatch(r"[0-9a-f]{32}", question.pop("X-Request-Id"))
        assert question == {
            "Host": "127.0.0.1",
            "Authorization": "Bearer 200",
            "X-Original-Method": "POST",
            "X-Original-URI": "/a%2Fb/../c",
            "X-Original-Host": "127.0.0.1",
            "X-Original-Proto": "http",
            "X-Original-Remote-Addr": "127.0.0.1",
        }
        assert nginx.upstream.received[-1].target == "/a%2Fb/../c?token=1"

    def test_a_hash_does_not_end_the_path(self, nginx: Gateway) -> None:
        nginx.ask("/a#/../b", bearer("403"))
        assert dict(StandIn.asked[-1])["X-Original-URI"] == "/a#/../b"

    @pytest.mark.shows("S50", "N59")
    def test_the_unchecked_location_is_served_without_what_was_forged(self, nginx: Gateway) -> None:
        assert nginx.ask("/gateway-health", FORGED)[0].status == 200
        (received,) = nginx.upstream.received
        assert [name for name in FORGED if received.values(name)] == []

    def test_a_detour_to_the_unchecked_location_serves_that_location(self, nginx: Gateway) -> None:
        nginx.ask("/orders/..%2fgateway-health")
        assert [received.target for received in nginx.upstream.received] == ["/gateway-health"]

    @pytest.mark.shows("N62")
    def test_a_refused_upload_is_not_asked_for(self, nginx: Gateway) -> None:
        lines = ["POST / HTTP/1.1", "Host: x", "Authorization: Bearer 403", "Content-Length: 9", "Expect: 100-continue"]
        with socket.create_connection(("127.0.0.1", nginx.port), timeout=30) as client:
            client.sendall("\r\n".join([*lines, "\r\n"]).encode())
            assert client.recv(4096).startswith(b"HTTP/1.1 403 ")

    @pytest.mark.shows("N62")
    def test_a_large_upload_is_passed_on(self, nginx: Gateway) -> None:
        size = 2_900_000
        with closing(http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=30)) as connection:
            nginx.upstream.received.clear()
            connection.request("POST", "/orders", body=b"x" * size, headers=bearer("200"))
            assert connection.getresponse().status == 200
        assert [received.body_bytes for received in nginx.upstream.received] == [size]
        assert dict(StandIn.asked[-1]).get("Content-Length") is None, "the body is not for the authorizer"

    @pytest.mark.shows("N61")
    def test_a_line_break_in_the_path_starts_no_header(self, nginx: Gateway) -> None:
        """The path is sent as it was written; decoded, it would end the line."""
        target = "/public/%0d%0aX-Original-URI:%20/ok"
        nginx.ask(target, bearer("403"))
        assert [value for name, value in StandIn.asked[-1] if name.lower() == "x-original-uri"] == [target]

    @pytest.mark.shows("N65")
    def test_the_question_tells_a_preflight(self, nginx: Gateway) -> None:
        """The two headers that make one, and no other of the client's."""
        preflight = {"Origin": "https://a.example", "Access-Control-Request-Method": "PUT"}
        nginx.ask("/orders", {**bearer("200"), **preflight, "Access-Control-Request-Headers": "x-y"}, "OPTIONS")
        question = dict(StandIn.asked[-1])
        assert {name: question.get(name) for name in preflight} == preflight
        assert question["X-Original-Method"] == "OPTIONS"
        assert "Access-Control-Request-Headers" not in question

    @pytest.mark.shows("S11")
    def test_browsers_may_show_a_challenge_where_the_authorizer_says_so(self, nginx: Gateway) -> None:
        exposed = "Access-Control-Expose-Headers"
        wire = f"401+WWW-Authenticate={CHALLENGE}+{exposed}=WWW-Authenticate"
        assert nginx.ask("/orders", bearer(wire))[0].headers.get_all(exposed) == ["WWW-Authenticate"]
        assert nginx.ask("/orders", bearer(f"401+WWW-Authenticate={CHALLENGE}"))[0].headers.get_all(exposed) is None

    @pytest.mark.shows("N3")
    def test_twenty_questions_take_one_connection(self, nginx: Gateway) -> None:
        """Because no answer has a body. A client that keeps its connection stays with one worker of NGINX."""
        with closing(http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=30)) as connection:
            before = len(StandIn.connections)
            for number in range(20):
                wire = ["200", "401+WWW-Authenticate=Bearer"][number % 2]
                connection.request("GET", "/orders", headers=bearer(wire))
                connection.getresponse().read()
        assert len(StandIn.connections) - before <= 1

    @pytest.mark.shows("N58")
    def test_with_nobody_to_ask_nothing_passes(self, nginx_alone: Gateway) -> None:
        response, _ = nginx_alone.ask("/orders", bearer("200"))
        assert (response.status, response.headers["Retry-After"]) == (503, "1")
        assert not nginx_alone.was_served()

    def test_the_authorizer_is_not_for_the_world(self, nginx: Gateway) -> None:
        assert nginx.ask("/_extauthz", bearer("200"))[0].status == 404
        assert not nginx.was_served()
