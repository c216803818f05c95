"""The questions of two controllers for Kubernetes that are NGINX underneath, asked by a real NGINX.

The configurations are what their templates make of our files, as far as asking goes. No recipe restores the true
status: clients see what `auth_request` makes of it.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from cases import ANSWERS, BY_GATEWAY, CASES, Case, Front, Seen
from conformance.marks import parameters
from extauthz.cli.processes import Process, free_ports, nginx_command
from extauthz.cli.upstream import Upstream
from support.fronts import IDENTITY, exchange, gateway
from support.running import Running, running
from support.stub_server import StubServer

SITE = """
pid nginx.pid; lock_file nginx.lock; error_log stderr warn;
events {}
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {
        listen 127.0.0.1:%(port)d;
        location / {
            auth_request /_external-auth;
            auth_request_set $auth_sub   $upstream_http_x_auth_sub;
            auth_request_set $auth_scope $upstream_http_x_auth_scope;
            proxy_set_header X-Auth-Sub   $auth_sub;
            proxy_set_header X-Auth-Scope $auth_scope;
            proxy_set_header Host         $http_host;
            proxy_http_version 1.1;
            proxy_pass http://127.0.0.1:%(app)d;
        }
        location = /_external-auth {
            internal;
            proxy_pass_request_body off;
            proxy_http_version 1.1;
            proxy_set_header Content-Length "";
            %(question)s
        }
    }
}
"""
INGRESS_NGINX = """
            proxy_set_header X-Forwarded-Proto       "";
            proxy_set_header Host                    extauthz.auth.svc;
            proxy_set_header X-Original-URL          $scheme://$http_host$request_uri;
            proxy_set_header X-Original-Method       $request_method;
            proxy_set_header X-Sent-From             "nginx-ingress-controller";
            proxy_set_header X-Auth-Request-Redirect $request_uri;
            proxy_method     GET;
            proxy_set_header X-Original-URI          $request_uri;
            proxy_set_header X-Original-Host         $host;
            proxy_pass_request_headers on;
            proxy_pass http://127.0.0.1:%(authorizer)d/nginx;
"""
GATEWAY_FABRIC = """
            proxy_pass_request_headers off;
            proxy_set_header Authorization $http_authorization;
            proxy_set_header Host          $http_host;
            proxy_set_header Method        $request_method;
            proxy_set_header Path          $request_uri;
            proxy_pass http://127.0.0.1:%(authorizer)d/gateway-api;
"""
BARE = "".join(line for line in INGRESS_NGINX.splitlines(keepends=True) if not re.search("X-Original-(URI|Host)", line))
"""ingress-nginx without the two annotations that make it send these headers itself."""

CONTROLLERS = {"ingress-nginx": INGRESS_NGINX, "nginx gateway fabric": GATEWAY_FABRIC, "ingress-nginx, bare": BARE}
READER = ("Authorization", "Bearer reader")
HOST = ("Host", "api.example.com")


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """A running NGINX for each controller."""
    stub, app, *own = free_ports(2 + len(CONTROLLERS))
    with ExitStack() as stack:
        introspection = stack.enter_context(StubServer(stub, ANSWERS)).url
        service: Running = stack.enter_context(
            running(tmp_path_factory.mktemp("extauthz"), introspection=introspection)
        )
        stack.enter_context(Upstream(app))
        for question, port in zip(CONTROLLERS.values(), own, strict=True):
            folder = tmp_path_factory.mktemp("nginx")
            config = folder / "nginx.conf"
            asked = question % {"authorizer": service.gateway}
            config.write_text(SITE % {"port": port, "app": app, "question": asked})
            command = nginx_command(config, folder)
            stack.enter_context(Process("NGINX", command, log=folder / "log")).wait_for_port(port)
        yield dict(zip(CONTROLLERS, own, strict=True))


def _as_seen(case: Case) -> Seen:
    """What a client sees of the case: status, and the challenge of a 401."""
    expected = case.nginx or case.expected
    if expected == BY_GATEWAY or expected.status == 200:
        return expected
    if expected.status in (400, 401) and expected.challenge:
        return Seen(status=401, challenge=expected.challenge)
    return Seen(status=403 if expected.status < 500 else 500)


@pytest.mark.parametrize("controller", ["ingress-nginx", "nginx gateway fabric"])
@pytest.mark.parametrize("case", parameters(CASES, "OSN"))
def test_each_case_ends_as_auth_request_can_say_it(ports: dict[str, int], controller: str, case: Case) -> None:
    """The same verdict and identity; of the status, what is left of it."""
    front: Front = gateway(controller, ports[controller], kind="nginx")
    assert front.ask(case) == _as_seen(case)


def _statuses(port: int, *headers: tuple[str, str], target: str = "/orders/1") -> int:
    return exchange(port, "GET", target, [HOST, READER, *headers])[0]


def test_a_host_in_the_request_line_is_no_way_to_choose_the_rules(ports: dict[str, int]) -> None:
    """NGINX serves the one and says the other in the URL: where both are sent, they must agree."""
    other = "http://a.tenant.example.com/me"
    assert _statuses(ports["ingress-nginx"], target="/me") == 200
    assert _statuses(ports["ingress-nginx"], target=other) == 403
    assert _statuses(ports["ingress-nginx, bare"], target=other) == 200, "this is why the ConfigMap is in the file"


@pytest.mark.parametrize(
    "header",
    [("X-Original-URI", "/healthz"), ("X-Original-Host", "a.tenant.example.com"), ("X-Original-Uri", "/orders/export")],
)
def test_what_a_client_says_about_its_request_is_replaced_or_refused(
    ports: dict[str, int], header: tuple[str, str]
) -> None:
    """With the annotations, the controller writes over it; without, it stands beside the truth and disagrees."""
    assert _statuses(ports["ingress-nginx"], header) == 200
    assert _statuses(ports["ingress-nginx, bare"], header) == 403


def test_no_identity_is_believed(ports: dict[str, int]) -> None:
    """A header that NGINX passes on to ask is not one that it passes on to serve."""
    for port in ports.values():
        case = replace(CASES[0], authorization=("Bearer no-sub",), headers=tuple((name, "evil") for name in IDENTITY))
        assert gateway("", port, kind="nginx").ask(case).identity == {"x-auth-scope": "orders:read"}
