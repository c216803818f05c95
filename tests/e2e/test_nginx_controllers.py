"""What the vectors do not ask of two controllers for Kubernetes that are NGINX underneath: what if a line is missing."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from cases import ANSWERS, Request
from extauthz.cli.processes import Process, free_ports, nginx_command
from extauthz.cli.upstream import Upstream
from support.controllers import CONTROLLERS, site
from support.fronts import IDENTITY
from support.gateways import ask
from support.http1 import exchange
from support.running import Running, running
from support.stub_server import StubServer

READER = ("Authorization", "Bearer reader")
HOST = ("Host", "api.example.com")


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """A running NGINX for each controller."""
    app, *own = free_ports(1 + len(CONTROLLERS))
    with ExitStack() as stack:
        introspection = stack.enter_context(StubServer(ANSWERS)).url
        service: Running = stack.enter_context(
            running(tmp_path_factory.mktemp("extauthz"), introspection=introspection)
        )
        stack.enter_context(Upstream(app))
        for controller, port in zip(CONTROLLERS, own, strict=True):
            folder = tmp_path_factory.mktemp("nginx")
            config = folder / "nginx.conf"
            config.write_text(site(controller, port=port, app=app, authorizer=service.gateway))
            command = nginx_command(config, folder)
            stack.enter_context(Process("NGINX", command, log=folder / "log")).wait_for_port(port)
        yield dict(zip(CONTROLLERS, own, strict=True))


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
    request = Request(authorization=("Bearer no-sub",), headers=tuple((name, "evil") for name in IDENTITY))
    for port in ports.values():
        assert ask(port, request).identity == {"x-auth-scope": "orders:read"}
