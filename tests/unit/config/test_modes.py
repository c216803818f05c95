"""A route may have a mode of its own, where its servers are equipped for it."""

from typing import Any

import pytest

from extauthz.config.compile import compile_policy, source_name
from extauthz.config.modes import check_modes
from extauthz.config.service_schema import AuthorizationServer
from extauthz.config.validate import sound_policy
from extauthz.config.yaml_source import read_yaml

BOTH: dict[str, Any] = {
    "issuer": "https://as.example.com",
    "introspection_endpoint": "https://as.example.com/introspect",
    "client": {"id": "gateway", "secret": {"env": "CLIENT_SECRET"}},
    "jwt": {"jwks_uri": "https://as.example.com/jwks"},
}
ASKED = {key: value for key, value in BOTH.items() if key != "jwt"}
SIGNED = {"issuer": BOTH["issuer"], "jwt": BOTH["jwt"], "mode": "jwt"}
FOR_US = {**BOTH, "jwt": {**BOTH["jwt"], "audience": ["https://api.example.com"]}}


def judged(server: dict[str, Any], route: str = "") -> tuple[list[str], list[str]]:
    """What is wrong with a route at this server, and which sources the compiled policy names."""
    text = f"version: 1\nroutes: [{{name: r, path: /r, scopes: []{route}}}]\n"
    document = read_yaml(text.encode(), "policy.yaml")
    policy = sound_policy(None, document)
    servers = {"main": AuthorizationServer.model_validate(server)}
    snapshot, _ = compile_policy(policy, servers)
    faults = [fault.message for fault in check_modes(policy, document, servers)]
    return faults, [rule.authorization_server for rule in snapshot.routes.rules]


@pytest.mark.parametrize(
    ("server", "route", "source"),
    [
        (BOTH, "", "main"),
        (BOTH, ", mode: introspect", "main"),
        (BOTH, ", mode: jwt, audience: a", "main:jwt"),
        (FOR_US, ", mode: jwt", "main:jwt"),
        (FOR_US, ", mode: jwt_then_introspect", "main:jwt_then_introspect"),
        ({**FOR_US, "mode": "jwt"}, ", mode: introspect", "main:introspect"),
        ({**FOR_US, "mode": "jwt"}, "", "main"),
    ],
)
def test_another_mode_is_another_source(server: dict[str, Any], route: str, source: str) -> None:
    """What one mode remembers is nothing to the other."""
    assert judged(server, route) == ([], [source])


@pytest.mark.parametrize(
    ("server", "route", "words"),
    [
        (ASKED, ", mode: jwt, audience: a", "to judge JWTs of main write jwt: {jwks_uri"),
        (SIGNED, ", mode: introspect, audience: a", "main cannot be asked: write client"),
        (SIGNED, ", mode: jwt_then_introspect, audience: a", "main cannot be asked"),
        (SIGNED, "", "write audience: and who we are to main"),
        (BOTH, ", mode: jwt", "write audience"),
        (BOTH, ", mode: jwt_then_introspect", "write audience"),
    ],
)
def test_a_mode_that_cannot_work_is_a_fault(server: dict[str, Any], route: str, words: str) -> None:
    """It says what to write, and where."""
    ((message,), _) = judged(server, route)
    assert words in message


@pytest.mark.parametrize("audience", ["audience: a", "mode: introspect, audience: a"])
def test_an_audience_of_the_route_is_enough(audience: str) -> None:
    """Or of the defaults, or of the server."""
    assert judged(BOTH, f", {audience}")[0] == []


def test_a_server_that_nobody_described_has_no_mode() -> None:
    """That is another fault."""
    assert source_name("nobody", "jwt", {}) == "nobody:jwt"
