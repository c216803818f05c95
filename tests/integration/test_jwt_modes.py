"""`extauthz serve` and tokens that speak for themselves: alone, before the server does, and one server among several."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from extauthz.cli.processes import free_ports
from support.serving import Answer, Service, get, loopback, wait_until, write_files
from support.stub_server import Reply, StubServer, active, raw
from support.tokens import AUDIENCE, ISSUER, jwk, jwks, minted

POLICY = f"""
version: 1
defaults: {{audience: "{AUDIENCE}", authorization_server: main}}
routes:
  - {{name: orders, path: /orders, scopes: [orders:read]}}
  - {{name: live, path: /live, scopes: [orders:read], freshness: live}}
  - {{name: alone, path: /alone, scopes: [orders:read], mode: jwt}}
  - {{name: any, path: /any, scopes: [orders:read], authorization_server: [main, old, lab]}}
"""


class Bench:
    """Three servers: one with JWTs, one with opaque tokens, one with a prefix; and extauthz in front of them."""

    def __init__(self, folder: Path, **jwt: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / "jwks.json"
        self.publish(jwk(self.key))
        self.gateway, self.ops = free_ports(2)
        self.main, self.old, self.lab = (StubServer({}) for _ in range(3))
        secret = {"id": "gateway", "secret": {"env": "EXTAUTHZ_CLIENT_SECRET"}}
        usual: dict[str, Any] = {"client": secret, "timeout": "10s", "self_check": False}
        servers = {
            "main": {
                **usual,
                "issuer": ISSUER,
                "introspection_endpoint": self.main.url,
                "mode": "jwt_then_introspect",
                "jwt": {"jwks_file": "jwks.json", **jwt},
            },
            "old": {**usual, "introspection_endpoint": self.old.url, "tokens": {"opaque": True}},
            "lab": {**usual, "introspection_endpoint": self.lab.url, "tokens": {"prefix": "lab-"}},
        }
        self.config = write_files(
            folder, loopback(self.gateway, self.ops), "", policy=POLICY, authorization_servers=servers
        )

    def publish(self, *keys: object) -> None:
        """Write the keys, as another file under the same name."""
        new = self.file.with_suffix(".new")
        new.write_bytes(jwks(*keys))
        new.replace(self.file)

    def mint(self, **claims: Any) -> str:  # noqa: ANN401 - any JSON value
        """A token of now."""
        now = int(time.time())
        return minted(self.key, claims={"iat": now, "exp": now + 300, **claims})

    def ask(self, token: str, path: str = "/orders") -> Answer:
        """What NGINX is told about a request."""
        place = [("X-Original-Method", "GET"), ("X-Original-URI", path), ("X-Original-Host", "api.example.com")]
        return get(self.gateway, "/nginx", [*place, ("Authorization", f"Bearer {token}")])

    def reason(self, token: str, path: str = "/orders") -> str:
        return dict(self.ask(token, path).headers)["x-authz-reason"]

    def says(self, reply: Reply, *tokens: str) -> None:
        """What the first server has to say about tokens."""
        for token in tokens:
            self.main.replies[token] = lambda: reply

    @contextmanager
    def running(self) -> Iterator[Service]:
        """Start everything."""
        with self.main, self.old, self.lab, Service(self.config).ready(self.ops) as service:
            yield service


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """All of it, once for all tests: each has tokens of its own."""
    bench = Bench(tmp_path_factory.mktemp("modes"))
    with bench.running():
        yield bench


@pytest.fixture
def bench(started: Bench) -> Bench:
    """The same, with nothing asked yet."""
    for server in (started.main, started.old, started.lab):
        server.calls.clear()
    return started


def test_a_token_passes_by_its_signature_until_the_server_has_spoken(bench: Bench) -> None:
    """The answer of the server comes a moment later, and wins."""
    good, revoked = bench.mint(jti="good"), bench.mint(jti="revoked")
    bench.says(active(iss=ISSUER, sub="user-1", jti="good", aud=AUDIENCE), good)
    assert (bench.reason(good), bench.reason(revoked)) == ("allowed", "allowed")
    wait_until(lambda: bench.reason(revoked) == "inactive")
    wait_until(lambda: bench.main.calls[good])
    assert bench.reason(good) == "allowed"
    assert (bench.main.calls[good], bench.main.calls[revoked]) == (1, 1)


def test_a_live_route_waits_for_the_server(bench: Bench) -> None:
    """No signature is enough there."""
    token = bench.mint()
    assert bench.reason(token, "/live") == "inactive"
    bench.says(active(iss=ISSUER, sub="user-1", jti="a1", aud=AUDIENCE), token)
    assert bench.reason(token, "/live") == "allowed"
    bench.says(active(iss=ISSUER, sub="somebody-else", jti="a1", aud=AUDIENCE), token)
    assert bench.reason(token, "/live") == "inactive"


def test_a_route_may_trust_the_signature_alone(bench: Bench) -> None:
    """And what it remembers is nothing to other routes."""
    token = bench.mint()
    assert [bench.reason(token, "/alone") for _ in range(3)] == ["allowed"] * 3
    assert bench.main.calls[token] == 0
    assert bench.reason(token, "/live") == "inactive"
    assert bench.reason(token, "/alone") == "allowed"


def test_a_bad_token_never_leaves_this_process(bench: Bench) -> None:
    """Forged, over, for somebody else: the server hears of none of them."""
    stranger = ec.generate_private_key(ec.SECP256R1())
    for token, reason in (
        (minted(stranger, claims={"exp": int(time.time()) + 300}), "inactive"),
        (bench.mint(exp=int(time.time()) - 100), "expired"),
        (bench.mint(iss="https://evil.example.com"), "wrong_issuer"),
        (bench.mint(aud=...), "wrong_audience"),
    ):
        assert [bench.reason(token, path) for path in ("/orders", "/live", "/alone")] == [reason] * 3
    assert not bench.main.calls


@pytest.mark.shows("S64")
def test_keys_in_a_file_are_read_again_when_a_token_names_a_new_one(bench: Bench) -> None:
    """At once, and the old one goes with the file."""
    new = ec.generate_private_key(ec.SECP256R1())
    now = int(time.time())
    token = minted(new, header={"kid": "k2"}, claims={"exp": now + 300})
    assert bench.reason(token, "/alone") == "inactive"
    bench.publish(jwk(new, kid="k2"))
    assert bench.reason(token, "/alone") == "allowed"
    assert bench.reason(bench.mint(jti="old"), "/alone") == "inactive"
    bench.publish(jwk(bench.key))
    assert bench.reason(bench.mint(), "/alone") == "allowed"


def test_among_several_servers_the_token_chooses_one(bench: Bench) -> None:
    """By its issuer, by its prefix, or because it is neither; the others never see it."""
    signed = bench.mint()
    bench.says(active(iss=ISSUER, sub="user-1", jti="a1", aud=AUDIENCE), signed)
    for server, token in ((bench.old, "opaque"), (bench.lab, "lab-1")):
        server.replies[token] = lambda: active(iss=None)
    assert [bench.reason(token, "/any") for token in (signed, "opaque", "lab-1")] == ["allowed"] * 3
    wait_until(lambda: bench.main.calls[signed] == 1)
    assert bench.reason(bench.mint(iss="https://evil.example.com"), "/any") == "inactive"
    assert [set(server.calls) for server in (bench.main, bench.old, bench.lab)] == [{signed}, {"opaque"}, {"lab-1"}]


@pytest.mark.shows("S74")
@pytest.mark.parametrize("option", ["deny", "local"])
def test_in_an_outage_a_signature_is_enough_only_by_option(option: str, tmp_path: Path) -> None:
    """And only for tokens that are young."""
    bench = Bench(tmp_path, on_introspection_error=option, max_local_age="60s")
    young, old = bench.mint(), bench.mint(jti="old", iat=int(time.time()) - 120)
    with bench.running() as service:
        bench.main.unknown = Reply(status=503)
        passes = "allowed" if option == "local" else "server_error"
        assert bench.reason(young, "/live") == passes
        assert bench.reason(old, "/live") == "server_error"
        bench.main.unknown = raw(b'{"active":false}')
        assert bench.reason(young, "/live") == "inactive"
        service.send(signal.SIGTERM)
        assert service.wait() == 0
    audit = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert [line["level"] for line in audit] == ["jwt" if option == "local" else "server", "server", "server"]
