"""Clients and resource servers of other hands at our authorization server."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
import requests
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc6750 import InsufficientScopeError, InvalidTokenError
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign
from authlib.oauth2.rfc7662 import IntrospectTokenValidator
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc.jwk import ECKey
from jwt.algorithms import ECAlgorithm

from extauthz.authserver.admin import issue_token
from extauthz.authserver.client_auth import hash_secret
from extauthz.authserver.store.base import AuthMethod, ClientRecord, TokenKind
from extauthz.authserver.store.sqlite import SqliteStore
from extauthz.cli.processes import Process, free_ports, nginx_command

ISSUER = "https://as.example.com"
API = "https://api.example.com"
SECRET = "p@ss:w+rd/%&= e"
HASH = hash_secret(SECRET, rounds=4)
KEY = ec.generate_private_key(ec.SECP256R1())
JWKS = json.dumps({"keys": [ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True)]})
GRANTS = ("client_credentials", "refresh_token")
TESTS = Path(__file__).parents[1]

CLIENTS = (
    ClientRecord(client_id="app", secret_hash=HASH, audiences=(API,), scopes=("a", "b"), grants=GRANTS),
    ClientRecord(client_id="gateway", secret_hash=HASH, can_introspect=True, audiences=(API,)),
    ClientRecord(client_id="signer", auth_method=AuthMethod.PRIVATE_KEY_JWT, keys=JWKS, scopes=("a",)),
)

NGINX = """
daemon off; pid nginx.pid; error_log stderr;
events {}
http {
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
  server {
    listen 127.0.0.1:PORT;
    location = /introspect {
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_method POST;
      proxy_set_header Content-Type application/x-www-form-urlencoded;
      proxy_set_header Authorization "Basic CREDENTIALS";
      proxy_set_body "token=$http_x_token&token_type_hint=access_token";
      proxy_pass http://127.0.0.1:SERVER/oauth2/introspect;
    }
  }
}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Ours, as a process."""

    port: int
    store: Path

    def url(self, endpoint: str) -> str:
        return f"http://127.0.0.1:{self.port}/oauth2/{endpoint}"

    def issue(self, **members: Any) -> str:  # noqa: ANN401 - by name
        """A token that the operator issues while the server runs."""
        given = {"client_id": "app", "sub": "u1", "username": "jdoe", "scope": ["a", "b"], "audience": [API]}
        return asyncio.run(self._issue(given | members))

    async def _issue(self, members: dict[str, Any]) -> str:
        async with SqliteStore(self.store) as store:
            token, _ = await issue_token(store, ttl_seconds=600, now=time.time(), **members)
        return token


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("authserver")
    asyncio.run(register(folder / "as.db"))
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "extauthz", "authserver", "serve", "--listen", f"127.0.0.1:{port}"]
    command += ["--issuer", ISSUER, "--store", f"sqlite:///{folder / 'as.db'}"]
    with Process("authorization server", command, log=folder / "log") as process:
        process.wait_for_http(f"http://127.0.0.1:{port}/livez", seconds=60)
        yield Server(port=port, store=folder / "as.db")


async def register(path: Path) -> None:
    async with SqliteStore(path) as store:
        for client in CLIENTS:
            await store.add_client(client)


def introspect(server: Server, token: str) -> dict[str, Any]:
    answer = requests.post(server.url("introspect"), {"token": token}, auth=("gateway", SECRET), timeout=60)
    members: dict[str, Any] = answer.json()
    return members


class ShortLived(PrivateKeyJWT):  # type: ignore[misc] # authlib has no types
    """authlib's assertions are good for an hour; we take five minutes at most."""

    def sign(self, auth: Any, token_endpoint: str) -> Any:  # noqa: ANN401 - as authlib has it
        return private_key_jwt_sign(
            auth.client_secret, auth.client_id, token_endpoint, alg="ES256", claims={}, expires_in=60
        )


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_an_oauth_client_lives_its_life(server: Server, method: str) -> None:
    """It fetches, refreshes, introspects and revokes, with a secret of awkward characters."""
    with OAuth2Session("app", SECRET, token_endpoint_auth_method=method) as client:
        fetched = client.fetch_token(server.url("token"), grant_type="client_credentials", scope="a")
        assert (fetched["token_type"], fetched["scope"]) == ("Bearer", "a")
        refresh_token = server.issue(kind=TokenKind.REFRESH)
        refreshed = client.refresh_token(server.url("token"), refresh_token=refresh_token)
        assert introspect(server, refreshed["access_token"])["username"] == "jdoe"
        assert client.introspect_token(server.url("introspect"), fetched["access_token"]).json()["active"] is True
        revoked = client.revoke_token(server.url("revoke"), token=refreshed["refresh_token"])
        assert revoked.status_code == 200
        assert introspect(server, refreshed["access_token"]) == {"active": False}


def test_httpx_authenticates_as_it_does(server: Server) -> None:
    """Its Basic pair is not form-encoded, whatever the secret is made of."""
    with httpx.Client(auth=("app", SECRET), trust_env=False, timeout=60) as client:
        fetched = client.post(server.url("token"), data={"grant_type": "client_credentials"}).json()
        answer = client.post(server.url("introspect"), data={"token": fetched["access_token"]}).json()
        assert (answer["active"], answer["iss"], answer["aud"]) == (True, ISSUER, [API])


@pytest.mark.shows("S95")
def test_an_oauth_client_signs_its_assertions(server: Server) -> None:
    """Its private_key_jwt is accepted when it names the issuer, and refused when it names the endpoint."""
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for audience, accepted in ((ISSUER, True), (server.url("token"), False)):
        key = ECKey.import_key(pem)
        with OAuth2Session("signer", key, token_endpoint_auth_method="private_key_jwt") as client:
            client.register_client_auth_method(ShortLived(audience))
            if accepted:
                assert client.fetch_token(server.url("token"), grant_type="client_credentials")["scope"] == "a"
            else:
                with pytest.raises(Exception, match="invalid_client"):
                    client.fetch_token(server.url("token"), grant_type="client_credentials")


def test_a_resource_server_of_authlib_understands_the_answers(server: Server) -> None:
    """Its validator lets the active token pass, and tells too little scope from no token at all."""

    class Validator(IntrospectTokenValidator):  # type: ignore[misc] # authlib has no types
        def introspect_token(self, token_string: str) -> dict[str, Any]:
            return introspect(server, token_string)

    validator = Validator()
    token = validator.authenticate_token(server.issue())
    validator.validate_token(token, ["a b"], None)
    with pytest.raises(InsufficientScopeError):
        validator.validate_token(token, ["c"], None)
    with pytest.raises(InvalidTokenError):
        validator.validate_token(validator.authenticate_token("unknown"), [], None)


def test_a_resource_server_of_django_understands_the_answers(server: Server, tmp_path: Path) -> None:
    """django-oauth-toolkit asks us about foreign tokens, learns the user, and refuses what it should."""
    environment = {
        "PYTHONPATH": str(TESTS),
        "DJANGO_SETTINGS_MODULE": "support.django_toolkit.settings",
        "EXTAUTHZ_TEST_DATABASE": str(tmp_path / "resource.sqlite3"),
        "EXTAUTHZ_TEST_INTROSPECTION": json.dumps([server.url("introspect"), "gateway", SECRET]),
    }
    command = [
        sys.executable,
        "-m",
        "support.django_toolkit.resource",
        server.issue(),
        server.issue(scope=[]),
        "unknown",
    ]
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=150, check=False
    )
    assert json.loads(done.stdout or "null") == ["jdoe", None, None], done.stderr


def test_an_nginx_subrequest_gets_an_answer(server: Server) -> None:
    """NGINX as it asks by itself, by POST with a body of its own, is answered like anybody."""
    (port,) = free_ports(1)
    credentials = httpx.BasicAuth("gateway", SECRET)._auth_header.removeprefix("Basic ")  # noqa: SLF001 - its spelling
    words = {"PORT": str(port), "CREDENTIALS": credentials, "SERVER": str(server.port)}
    text = NGINX
    for name, word in words.items():
        text = text.replace(name, word)
    with TemporaryDirectory(prefix="extauthz-nginx-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        (folder / "nginx.conf").write_text(text.replace("daemon off; ", ""))
        with Process("NGINX", nginx_command(folder / "nginx.conf", folder), log=folder / "log") as process:
            process.wait_for_port(port)
            for token, active in ((server.issue(), True), ("unknown", False)):
                answer = requests.get(f"http://127.0.0.1:{port}/introspect", headers={"X-Token": token}, timeout=60)
                assert (answer.status_code, answer.json()["active"]) == (200, active)
