"""`extauthz serve` between a gateway and authorization servers that others wrote, in good times and in bad ones."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from extauthz.cli.processes import free_ports
from extauthz.core.decision import OUTAGES
from support.django_toolkit import DjangoToolkit
from support.fault_proxy import (
    Fault,
    FaultProxy,
    answering,
    hanging,
    reset_after_request,
    saying,
    truncated,
)
from support.oidc_provider import OidcProvider
from support.real_server import GATEWAY, USER, RealServer
from support.serving import Answer, Service, get, loopback, wait_until, write_files

POLICY = """
version: 1
defaults: {authorization_server: oidc, identity_headers: {x-auth-sub: sub, x-auth-scope: scope}}
routes:
  - {name: orders, path: /orders, scopes: [orders:read]}
  - {name: write, path: /write, scopes: [orders:write]}
  - {name: live, path: /live, scopes: [], freshness: live}
  - {name: faulty-orders, path: /faulty/orders, scopes: [orders:read], authorization_server: faulty}
  - {name: faulty-live, path: /faulty/live, scopes: [], freshness: live, authorization_server: faulty}
  - {name: toolkit-orders, path: /toolkit/orders, scopes: [orders:read], authorization_server: toolkit}
  - {name: toolkit-write, path: /toolkit/write, scopes: [orders:write], authorization_server: toolkit}
  - {name: toolkit-live, path: /toolkit/live, scopes: [], freshness: live, authorization_server: toolkit}
  - {name: refused, path: /refused, scopes: [], authorization_server: refused}
  - {name: toolkit-refused, path: /toolkit/refused, scopes: [], authorization_server: toolkit-refused}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A running extauthz, and the proxy between it and oidc-provider."""

    port: int
    proxy: FaultProxy

    def ask(self, path: str, token: str) -> Answer:
        """What a gateway is told about a request."""
        metadata = {"Method": "GET", "Uri": path, "Host": "api.example.com"}
        headers = [(f"X-Forwarded-{name}", value) for name, value in metadata.items()]
        return get(self.port, "/forward-auth", [*headers, ("Authorization", f"Bearer {token}")])

    def passes(self, path: str, token: str) -> bool:
        """Whether it may pass."""
        return self.ask(path, token).status == 200


def described(server: RealServer, secret: Path, **more: str) -> dict[str, object]:
    """One section of the configuration, patient unless `more` says otherwise."""
    return {
        **({"issuer": server.issuer} if server.issuer else {}),
        "introspection_endpoint": server.introspection_endpoint,
        "client": {"id": GATEWAY.id, "secret": {"file": str(secret)}},
        "timeout": "10s",
        **more,
    }


@pytest.fixture(scope="module")
def gate(oidc: OidcProvider, toolkit: DjangoToolkit, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    folder = tmp_path_factory.mktemp("gate")
    (right := folder / "right").write_text(GATEWAY.secret)
    (wrong := folder / "wrong").write_text("not-" + GATEWAY.secret)
    gateway, ops = free_ports(2)
    with FaultProxy(urlsplit(oidc.introspection_endpoint).port or 0) as proxy:
        servers = {
            "oidc": described(oidc, right),
            "toolkit": described(toolkit, right),
            "faulty": described(
                oidc, right, introspection_endpoint=proxy.through(oidc.introspection_endpoint), timeout="500ms"
            ),
            "refused": described(oidc, wrong),
            "toolkit-refused": described(toolkit, wrong),
        }
        changes = {"authorization_servers": servers, "dialects": ["forward-auth"]}
        config = write_files(folder, loopback(gateway, ops), "", policy=POLICY, **changes)
        with Service(config).ready(ops):
            yield Gate(port=gateway, proxy=proxy)


def is_outage(answer: Answer) -> bool:
    """503 with a time to come back, and no challenge: a client must not throw its token away."""
    headers = {name.lower(): value for name, value in answer.headers}
    reasons = {reason.value for reason in OUTAGES}
    return (
        answer.status == 503
        and int(headers["retry-after"]) >= 1
        and headers["x-authz-reason"] in reasons
        and "www-authenticate" not in headers
    )


class TestGoodTimes:
    """The answers of both servers become the right answers to a gateway."""

    @pytest.mark.parametrize("at", ["", "/toolkit"])
    def test_scope_decides(self, gate: Gate, oidc: OidcProvider, toolkit: DjangoToolkit, at: str) -> None:
        """In, not enough, unknown."""
        token = (toolkit if at else oidc).issue()
        answers = [gate.ask(f"{at}/orders", token), gate.ask(f"{at}/write", token), gate.ask(f"{at}/orders", "unknown")]
        assert [answer.status for answer in answers] == [200, 403, 401]
        assert ("x-auth-scope", "orders:read") in answers[0].headers

    def test_the_user_is_named_where_the_server_names_one(
        self, gate: Gate, oidc: OidcProvider, toolkit: DjangoToolkit
    ) -> None:
        """A server without `sub` leads to an empty header, which the gateway puts over the client's own."""
        assert ("x-auth-sub", USER) in gate.ask("/orders", oidc.issue_to()).headers
        assert ("x-auth-sub", "") in gate.ask("/toolkit/orders", toolkit.issue_to()).headers

    @pytest.mark.shows("S33")
    @pytest.mark.parametrize("at", ["", "/toolkit"])
    def test_a_live_route_notices_a_revocation_at_once(
        self, gate: Gate, oidc: OidcProvider, toolkit: DjangoToolkit, at: str
    ) -> None:
        """And from then on the token is out everywhere."""
        server: RealServer = toolkit if at else oidc
        token = server.issue()
        assert gate.passes(f"{at}/orders", token)
        assert gate.passes(f"{at}/live", token)
        server.revoke(token)
        assert gate.ask(f"{at}/live", token).status == 401
        assert gate.ask(f"{at}/orders", token).status == 401

    @pytest.mark.shows("S27", "S41")
    def test_a_jwt_that_the_server_does_not_introspect_is_no_outage(self, gate: Gate, oidc: OidcProvider) -> None:
        """Its 400 is about the token; other clients do not notice."""
        assert gate.ask("/orders", oidc.issue_jwt()).status == 401
        assert gate.passes("/orders", oidc.issue())


class TestBadTimes:
    """Trouble is 503, never 401, and it ends when it ends."""

    @pytest.mark.parametrize(
        "fault",
        [hanging, reset_after_request, truncated, saying(b"\x00\xff\r\n\r\n"), answering(500), answering(429)],
        ids=["hang", "reset", "truncated", "garbage", "500", "429"],
    )
    def test_a_fault_is_an_outage(self, gate: Gate, oidc: OidcProvider, fault: Fault) -> None:
        """Nothing has to be restarted afterwards."""
        self.go_through(gate, oidc, gate.proxy.having(fault))

    def test_nobody_listening_is_an_outage(self, gate: Gate, oidc: OidcProvider) -> None:
        """A server that is being restarted."""
        self.go_through(gate, oidc, gate.proxy.refusing())

    def go_through(self, gate: Gate, oidc: OidcProvider, trouble: AbstractContextManager[None]) -> None:
        """A token that is known passes meanwhile; a new one does not, nor does one that nobody issued; then it does."""
        known, new = oidc.issue(), oidc.issue()
        invented = f"{new}-not"
        wait_until(lambda: gate.passes("/faulty/orders", known))
        with trouble:
            assert is_outage(gate.ask("/faulty/orders", new))
            assert is_outage(gate.ask("/faulty/orders", invented))
            assert is_outage(gate.ask("/faulty/live", known))
            assert gate.passes("/faulty/orders", known)
        wait_until(lambda: gate.passes("/faulty/orders", new))
        wait_until(lambda: gate.ask("/faulty/orders", invented).status == 401)

    @pytest.mark.shows("O17", "S26")
    def test_the_server_s_own_time_to_come_back_is_passed_on(self, gate: Gate, oidc: OidcProvider) -> None:
        """It knows best."""
        token = oidc.issue()
        with gate.proxy.having(answering(503, "retry-after: 7")):
            answer = gate.ask("/faulty/orders", token)
        assert is_outage(answer)
        assert ("retry-after", "7") in answer.headers
        wait_until(lambda: gate.passes("/faulty/orders", token))

    @pytest.mark.shows("O16", "S25")
    @pytest.mark.parametrize("at", ["", "/toolkit"])
    def test_a_wrong_secret_is_an_outage(self, gate: Gate, oidc: OidcProvider, toolkit: DjangoToolkit, at: str) -> None:
        """Whether the server says 401 or 403 to us, the client's token is not to blame."""
        token = (toolkit if at else oidc).issue()
        answer = gate.ask(f"{at}/refused", token)
        assert is_outage(answer)
        assert ("x-authz-reason", "server_refused_us") in answer.headers
