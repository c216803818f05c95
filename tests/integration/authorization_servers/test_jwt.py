"""JWTs of a server that others wrote: verified by its published keys, also after it has changed them."""

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwt.algorithms import ECAlgorithm

from extauthz.cli.processes import free_ports
from extauthz.core.introspection import Inactive
from extauthz.core.token import Token
from extauthz.resolver.caller import configured
from extauthz.resolver.jwks import MIN_SECONDS, FetchedKeys
from extauthz.resolver.jwt import JwtJudge, JwtSettings, Verified
from extauthz.resolver.jwt_verifier import JwtVerifier
from extauthz.resolver.metadata import Metadata
from extauthz.resolver.transport import Transport
from extauthz.testing import RecordingObserver, TickingClock
from support import oidc_provider
from support.oidc_provider import JWT_RESOURCE, PRIVATE_KEY_JWT, OidcProvider
from support.real_server import APP, SCOPE, USER
from support.serving import Answer, Service, get, loopback, wait_until, write_files
from support.tokens import minted

POLICY = f"""
version: 1
defaults: {{audience: "{JWT_RESOURCE}", identity_headers: {{x-auth-sub: sub, x-auth-scope: scope}}}}
routes:
  - {{name: orders, path: /orders, scopes: [orders:read]}}
  - {{name: write, path: /write, scopes: [orders:write]}}
  - {{name: elsewhere, path: /elsewhere, scopes: [], audience: "https://other.example.com"}}
  - {{name: both, path: /both, scopes: [], mode: jwt_then_introspect, freshness: live}}
  - {{name: asked, path: /asked, scopes: [], mode: introspect, audience: "{oidc_provider.RESOURCE}"}}
"""


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """A running extauthz."""

    port: int
    service: Service

    def ask(self, path: str, token: str) -> Answer:
        """What a gateway is told about a request."""
        metadata = {"Method": "GET", "Uri": path, "Host": "api.example.com"}
        headers = [(f"X-Forwarded-{name}", value) for name, value in metadata.items()]
        return get(self.port, "/forward-auth", [*headers, ("Authorization", f"Bearer {token}")])

    def status(self, path: str, token: str) -> int:
        return self.ask(path, token).status


@pytest.fixture(scope="module")
def gate(oidc: OidcProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """It knows the issuer, and how to prove by a key who it is; the rest it finds out."""
    folder = tmp_path_factory.mktemp("gate")
    gateway, ops = free_ports(2)
    (folder / "key.pem").write_bytes(pem(oidc.private_key))
    server: dict[str, Any] = {
        "preset": "oidc-provider",
        "issuer": oidc.issuer,
        "discovery": True,
        "mode": "jwt",
        "timeout": "10s",
        "client": {"id": PRIVATE_KEY_JWT, "auth": "private_key_jwt", "key": {"file": "key.pem"}},
    }
    config = write_files(
        folder,
        loopback(gateway, ops),
        "",
        policy=POLICY,
        authorization_servers={"main": server},
        dialects=["forward-auth"],
    )
    with Service(config).ready(ops) as service:
        yield Gate(port=gateway, service=service)


class TestServed:
    """`extauthz serve` that was told an issuer and a key."""

    def test_keys_are_there_before_the_first_token(self, gate: Gate) -> None:
        """Nobody waits for them."""
        wait_until(lambda: "keys_refreshed" in gate.service.stderr)

    def test_a_jwt_of_the_server_passes_where_its_scope_allows(self, gate: Gate, oidc: OidcProvider) -> None:
        """With its subject, without a question."""
        token = oidc.mint(resource=JWT_RESOURCE)
        answer = gate.ask("/orders", token)
        assert answer.status == 200
        assert dict(answer.headers)["x-auth-sub"] == USER
        assert gate.status("/write", token) == 403

    @pytest.mark.shows("S70", "S72")
    def test_anything_else_is_refused(self, gate: Gate, oidc: OidcProvider) -> None:
        """One for another audience, one that is over, one that somebody else signed, one that is cut, and an opaque one."""
        good = oidc.mint(resource=JWT_RESOURCE)
        head, _, signature = good.rpartition(".")
        forged = minted(ec.generate_private_key(ec.SECP256R1()), claims={"iss": oidc.issuer, "aud": JWT_RESOURCE})
        for token in (forged, f"{head}.{signature[:-4]}AAAA", good + "=", oidc.issue()):
            assert gate.status("/orders", token) == 401
        assert gate.status("/elsewhere", good) == 401
        assert gate.status("/orders", oidc.mint(resource=JWT_RESOURCE, lifetime="-100")) == 401

    @pytest.mark.shows("S62", "S73")
    def test_the_server_s_word_wins_where_both_count(self, gate: Gate, oidc: OidcProvider) -> None:
        """oidc-provider introspects no JWTs and so refuses them all; we asked it as `private_key_jwt`."""
        assert gate.status("/both", oidc.mint(resource=JWT_RESOURCE)) == 401
        assert gate.status("/both", oidc.mint(resource=oidc_provider.RESOURCE)) == 401  # for another audience
        assert gate.status("/asked", oidc.mint(resource=oidc_provider.RESOURCE)) == 200


@asynccontextmanager
async def verifier(oidc: OidcProvider, clock: TickingClock) -> AsyncIterator[JwtVerifier]:
    """Judges its tokens; the clock says how old keys are."""
    known = configured(Metadata(jwks_uri=oidc.jwks_uri))
    keys = FetchedKeys("main", known, Transport(), observer=RecordingObserver(), monotonic=clock)
    judge = JwtJudge(JwtSettings(issuer=oidc.issuer or "", audience=(JWT_RESOURCE,)))
    verifier = JwtVerifier(judge, keys, wall=time.time, patience=30)
    try:
        yield verifier
    finally:
        await verifier.close()


def rotate(oidc: OidcProvider, settings: Path) -> None:
    """Let the server sign with a new key, and still publish the old one."""
    members = json.loads(settings.read_text())
    new = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True)
    members["jwks"]["keys"].insert(0, new | {"kid": "new-key", "alg": "ES256"})
    settings.write_text(json.dumps(members))
    oidc.process.stop()
    oidc.process.log.write_text("")
    oidc.process.start().wait_for_line("ready")


async def test_a_new_key_is_found_when_a_token_names_it(tmp_path: Path) -> None:
    """The old one goes on being good while it is published."""
    clock = TickingClock()
    with oidc_provider.running(tmp_path) as oidc:
        async with verifier(oidc, clock) as judge:
            before = Token(oidc.mint(resource=JWT_RESOURCE))
            assert isinstance(await judge.verify(before), Verified)
            rotate(oidc, tmp_path / "settings.json")
            after = Token(oidc.mint(resource=JWT_RESOURCE))
            assert await judge.verify(after) == Inactive(cacheable=False)
            clock.advance(MIN_SECONDS)
            verdict = await judge.verify(after)
            assert isinstance(verdict, Verified)
            assert verdict.state.scopes == {SCOPE}
            assert (verdict.state.sub, verdict.state.client_id) == (USER, APP.id)
            assert isinstance(await judge.verify(before), Verified)
