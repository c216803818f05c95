"""Which ways to ask are switched on is said in extauthz.yaml, word by word."""

from pathlib import Path
from typing import get_args

import pytest

from extauthz.config.faults import ConfigError
from extauthz.config.fields import Dialect
from extauthz.config.load import load_service
from extauthz.wire.http.asgi import DIALECTS

SERVICE = """
listen: {gateway: "127.0.0.1:9191", ops: "127.0.0.1:9192"}
policy: policy.yaml
authorization_servers:
  main:
    introspection_endpoint: https://as.example.com/introspect
    client: {id: gateway, secret: {env: SECRET}}
"""
POLICY = "{version: 1, routes: [{name: a, path: /a, scopes: []}]}"


def load(folder: Path, dialects: str) -> tuple[str, ...]:
    (folder / "extauthz.yaml").write_text(SERVICE + dialects)
    (folder / "policy.yaml").write_text(POLICY)
    return load_service(folder / "extauthz.yaml", {"SECRET": "s"}).settings.dialects


def test_every_word_of_the_file_is_a_dialect_of_the_door() -> None:
    """What the schema lets through, the door can speak, and there is nothing that cannot be switched on."""
    assert set(get_args(Dialect)) == set(DIALECTS)


def test_nginx_alone_is_spoken_unless_more_is_asked_for(tmp_path: Path) -> None:
    """A door that nobody uses is not there."""
    assert load(tmp_path, "") == ("nginx",)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("[]", ()),
        ("[envoy]", ("envoy",)),
        ("[nginx, forward-auth, gateway-api]", ("nginx", "forward-auth", "gateway-api")),
    ],
)
def test_the_list_says_all_of_it(written: str, expected: tuple[str, ...], tmp_path: Path) -> None:
    """A list replaces the default; an empty one leaves gRPC alone."""
    assert load(tmp_path, f"dialects: {written}") == expected


@pytest.mark.parametrize(
    ("written", "message", "hint"),
    [
        ("[traefik]", "write nginx, forward-auth, envoy or gateway-api", ""),
        ("[foward-auth]", "write nginx, forward-auth, envoy or gateway-api", "forward-auth"),
        ("[nginx, NGINX]", "write nginx, forward-auth, envoy or gateway-api", "nginx"),
        ("[envoy, nginx, envoy]", "this stands twice in the list", ""),
        ("nginx", "this must be a list", "[nginx]"),
    ],
)
def test_another_word_is_refused_with_the_nearest_known_one(
    written: str, message: str, hint: str, tmp_path: Path
) -> None:
    """A dialect that is misspelt is not silently off."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, f"dialects: {written}")
    (fault,) = caught.value.faults
    assert (fault.message, fault.hint) == (message, hint)
