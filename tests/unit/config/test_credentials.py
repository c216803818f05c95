"""Who we are to a server: each method has what it needs and nothing besides."""

from typing import Any

import pytest
import yaml

from extauthz.config.credentials import Client
from extauthz.config.faults import Fault
from extauthz.config.service_schema import ServiceFile
from extauthz.config.validate import validate
from extauthz.config.yaml_source import read_yaml

SECRET = {"secret": {"env": "CLIENT_SECRET"}}
KEY = {"key": {"file": "key.pem"}}
PAIR = {"tls": {"certificate": "a.pem", "key": "a.key"}}
BEARER = {"auth": "bearer", "token": {"endpoint": "https://as.example.com/token"}}
ISSUER = {"issuer": "https://as.example.com"}
LOCAL = {"introspection_endpoint": "http://127.0.0.1:4445/admin/oauth2/introspect"}


def faults_of(client: dict[str, Any], server: dict[str, Any]) -> tuple[Fault, ...]:
    """What is wrong with a server that has this client."""
    service = {
        "listen": {"gateway": "127.0.0.1:9191", "ops": "127.0.0.1:9192"},
        "policy": "policy.yaml",
        "authorization_servers": {
            "main": {"introspection_endpoint": "https://as.example.com/introspect", "client": client, **server}
        },
    }
    text = yaml.safe_dump(service, sort_keys=False).encode()
    value, faults = validate(ServiceFile, read_yaml(text, "extauthz.yaml", private=True))
    assert (value is None) is bool(faults)
    return faults


@pytest.mark.parametrize(
    ("client", "server"),
    [
        ({"id": "rs", **SECRET}, {}),
        ({"id": "rs", **SECRET, "auth": "client_secret_post"}, {}),
        ({"id": "rs", **SECRET, "basic_encoding": "raw"}, {}),
        ({"id": "rs", **SECRET, "auth": "client_secret_jwt"}, ISSUER),
        ({"id": "rs", **KEY, "auth": "private_key_jwt"}, ISSUER),
        ({"id": "rs", **KEY, "auth": "private_key_jwt", "assertion": {"audience": "https://as/introspect"}}, {}),
        ({"id": "rs", "auth": "tls_client_auth"}, PAIR),
        ({"id": "rs", "auth": "self_signed_tls_client_auth"}, PAIR),
        ({"id": "rs", **SECRET, **BEARER}, {}),
        ({"id": "rs", **SECRET}, {"tls": {"ca": "ca.pem"}}),
        ({"id": "rs", **KEY, "auth": "bearer", "token": {**BEARER["token"], "auth": "private_key_jwt"}}, ISSUER),  # type: ignore[dict-item] # a mapping
        ({"auth": "none"}, LOCAL),
        ({"auth": "unsafe_none"}, {}),
    ],
)
def test_a_method_with_what_it_needs_is_accepted(client: dict[str, Any], server: dict[str, Any]) -> None:
    """All that there are."""
    assert faults_of(client, server) == ()


@pytest.mark.parametrize(
    ("client", "server", "words"),
    [
        ({"id": "rs"}, {}, "secret is missing: write secret: {file"),
        (SECRET, {}, "id is missing: write id: gateway"),
        ({"id": "rs", "auth": "private_key_jwt"}, ISSUER, "key is missing: write key: {file"),
        ({"id": "rs", **SECRET, "auth": "private_key_jwt"}, ISSUER, "key is missing"),
        ({"id": "rs", **KEY, **SECRET, "auth": "private_key_jwt"}, ISSUER, "take out secret"),
        ({"id": "rs", **KEY, **SECRET}, {}, "take out key, or change auth: a secret does not use it"),
        ({"id": "rs", **SECRET, "auth": "tls_client_auth"}, PAIR, "take out secret"),
        ({"id": "rs", "auth": "tls_client_auth"}, {}, "write tls: {certificate: …, key: …}"),
        ({"id": "rs", "auth": "tls_client_auth"}, {"tls": {"ca": "ca.pem"}}, "write tls: {certificate"),
        ({"id": "rs", **SECRET}, {"tls": {"certificate": "a.pem"}}, "certificate and key belong together"),
        ({"id": "rs", **SECRET}, {"tls": {"key": "a.key"}}, "certificate and key belong together"),
        ({"id": "rs", **KEY, "auth": "private_key_jwt"}, {}, "write issuer"),
        ({"id": "rs", **SECRET, "auth": "bearer"}, {}, "write token: {endpoint"),
        (
            {"id": "rs", **SECRET, "auth": "bearer", "token": {"endpoint": "http://as.example.com/t"}},
            {},
            "use https here",
        ),
        ({"id": "rs", **KEY, **BEARER}, {}, "secret is missing"),
        ({"auth": "none"}, {}, "write unsafe_none"),
        ({"auth": "none", **SECRET}, LOCAL, "take out secret"),
        ({"id": "rs", "auth": "private_key_jwt", "key": "-----BEGIN"}, ISSUER, "a mapping of keys and values"),
        ({"id": "rs", **SECRET, "basic_encoding": "none"}, {}, "rfc6749 or raw"),
        ({"id": "rs", **KEY, "auth": "private_key_jwt", "assertion": {"algorithm": "none"}}, ISSUER, "RS256"),
    ],
)
def test_a_method_without_what_it_needs_says_what_to_write(
    client: dict[str, Any], server: dict[str, Any], words: str
) -> None:
    """One sentence for one mistake, and nothing of a secret is repeated."""
    (fault,) = faults_of(client, server)
    assert words in fault.message
    assert "BEGIN" not in fault.render()


def test_a_bearer_token_is_fetched_with_a_method_of_its_own() -> None:
    """What stands under `token` says how."""
    token = {"endpoint": "https://as.example.com/token", "auth": "client_secret_post"}
    client = Client.model_validate({"id": "rs", "auth": "bearer", "token": token, **SECRET})
    assert client.method == "client_secret_post"
    assert Client.model_validate({"id": "rs", **SECRET}).method is None
