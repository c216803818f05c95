"""JWTs of a server: what must be written before they can be judged."""

from typing import Any

import pytest
import yaml

from extauthz.config.faults import Fault
from extauthz.config.service_schema import ServiceFile
from extauthz.config.validate import validate
from extauthz.config.yaml_source import read_yaml

ISSUER = {"issuer": "https://as.example.com"}
KEYS = {"jwt": {"jwks_uri": "https://as.example.com/jwks"}}
ASKED = {
    "introspection_endpoint": "https://as.example.com/introspect",
    "client": {"id": "gateway", "secret": {"env": "CLIENT_SECRET"}},
}


def faults_of(server: dict[str, Any]) -> tuple[Fault, ...]:
    """What is wrong with a server."""
    service = {
        "listen": {"gateway": "127.0.0.1:9191", "ops": "127.0.0.1:9192"},
        "policy": "policy.yaml",
        "authorization_servers": {"main": server},
    }
    document = read_yaml(yaml.safe_dump(service, sort_keys=False).encode(), "extauthz.yaml", private=True)
    return validate(ServiceFile, document)[1]


@pytest.mark.parametrize(
    "server",
    [
        {**ISSUER, **KEYS, "mode": "jwt"},
        {**ISSUER, "discovery": True, "mode": "jwt"},
        {**ISSUER, "mode": "jwt", "jwt": {"jwks_file": "jwks.json"}},
        {**ISSUER, **KEYS, **ASKED, "mode": "jwt"},
        {**ISSUER, **KEYS, **ASKED, "mode": "jwt_then_introspect"},
        {**ISSUER, "discovery": True, "client": ASKED["client"], "mode": "jwt_then_introspect"},
        {**ISSUER, "mode": "jwt", "jwt": {"jwks_uri": "http://127.0.0.1/jwks"}},
        {
            **ISSUER,
            **ASKED,
            "mode": "jwt_then_introspect",
            "jwt": {
                **KEYS["jwt"],
                "algorithms": ["ES512"],
                "types": ["at+jwt", "JWT"],
                "audience": ["https://api.example.com"],
                "scope_claims": ["scope", "scp"],
                "revalidate": "30s",
                "on_introspection_error": "local",
                "max_local_age": "2m",
            },
        },
    ],
)
def test_a_server_with_what_its_mode_needs_is_accepted(server: dict[str, Any]) -> None:
    """Where JWTs decide alone, nobody is asked, and no client is needed."""
    assert faults_of(server) == ()


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ({**KEYS, "mode": "jwt"}, "to judge JWTs write issuer"),
        ({**ISSUER, "mode": "jwt"}, "to judge JWTs write jwt: {jwks_uri: …} or discovery: true"),
        ({**ISSUER, **ASKED, "mode": "jwt_then_introspect"}, "write jwt: {jwks_uri"),
        (
            {**ISSUER, **KEYS, "mode": "jwt_then_introspect", "client": ASKED["client"]},
            "introspection_endpoint is missing",
        ),
        ({**ISSUER, **KEYS, "mode": "jwt", "client": ASKED["client"]}, "or take out client: nobody is asked then"),
        ({**ISSUER, "introspection_endpoint": "https://as.example.com/introspect"}, "client is missing"),
        ({**ISSUER, "mode": "jwt", "jwt": {"jwks_uri": "http://as.example.com/jwks"}}, "use https here"),
        ({**ISSUER, "mode": "jwt", "jwt": {**KEYS["jwt"], "jwks_file": "x"}}, "keys come from one place"),
        ({**ISSUER, "mode": "jwt", "jwt": {**KEYS["jwt"], "algorithms": ["none"]}}, "write RS256"),
        ({**ISSUER, "mode": "jwt", "jwt": {**KEYS["jwt"], "algorithms": ["HS256"]}}, "write RS256"),
        ({**ISSUER, "mode": "jwt", "jwt": {**KEYS["jwt"], "algorithms": []}}, "at least one algorithm"),
        ({**ISSUER, "mode": "jwt", "jwt": {**KEYS["jwt"], "types": ["id+jwt"]}}, "write at+jwt or JWT"),
        ({**ISSUER, "mode": "jwt", "jwt": {**KEYS["jwt"], "scope_claims": []}}, "at least one claim"),
        ({**ISSUER, **KEYS, "mode": "jtw"}, "introspect, jwt or jwt_then_introspect"),
    ],
)
def test_a_server_without_it_says_what_to_write(server: dict[str, Any], words: str) -> None:
    """One sentence for one mistake."""
    (fault,) = faults_of(server)
    assert words in fault.message
