"""What is known about authorization servers, as bundles of the options that are documented anyway.

A preset says nothing that the file could not say itself; what the file says wins. `docs/authorization-servers.md` has a
section for each.
"""

from collections.abc import Mapping
from typing import Any, Literal

Preset = Literal[
    "authentik",
    "django-oauth-toolkit",
    "duende",
    "gitlab",
    "hydra",
    "keycloak",
    "oidc-provider",
    "spring",
    "zitadel",
]

_PLAIN_JWT = ("at+jwt", "JWT")

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "authentik": {"cache": {"negative_ttl": "5s"}, "jwt": {"types": _PLAIN_JWT}},
    "django-oauth-toolkit": {"token_type_hint": "none"},
    "duende": {"compat": {"scope_array": True}},
    "gitlab": {"compat": {"require_token_type": True}},
    "hydra": {"jwt": {"types": _PLAIN_JWT, "scope_claims": ("scope", "scp")}},
    "keycloak": {"jwt": {"types": _PLAIN_JWT}},
    "oidc-provider": {"compat": {"require_token_type": True}},
    "spring": {"compat": {"require_token_type": True, "scope_array": True}, "jwt": {"types": _PLAIN_JWT}},
    "zitadel": {"jwt": {"types": _PLAIN_JWT}},
}


def with_preset(server: object) -> object:
    """A server as the file has it, completed by the preset that it names."""
    if not isinstance(server, dict):
        return server
    name = server.get("preset")
    return _completed(server, PRESETS.get(name, {})) if isinstance(name, str) else server


def _completed(written: Mapping[str, Any], preset: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that is written, and what the preset has besides."""
    completed = dict(written)
    for key, value in preset.items():
        if key not in completed:
            completed[key] = value
        elif isinstance(value, Mapping) and isinstance(completed[key], dict):
            completed[key] = _completed(completed[key], value)
    return completed
