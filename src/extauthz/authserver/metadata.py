"""The server's description of itself (RFC 8414 §2), and where its endpoints are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from extauthz.authserver.assertion import ALGORITHMS
from extauthz.authserver.grants import GRANT_TYPES

TOKEN_PATH: Final = "/oauth2/token"  # noqa: S105 - a path
INTROSPECTION_PATH: Final = "/oauth2/introspect"
BATCH_PATH: Final = "/oauth2/introspect/batch"
REVOCATION_PATH: Final = "/oauth2/revoke"
JWKS_PATH: Final = "/oauth2/jwks"

_METHODS: Final = ("client_secret_basic", "client_secret_post", "private_key_jwt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The fields are the members of RFC 8414 §2; those that are ``None`` or empty are omitted (§3.2).

    ``response_types_supported`` is left out: there is no authorization endpoint.
    """

    issuer: str
    token_endpoint: str
    introspection_endpoint: str
    revocation_endpoint: str
    jwks_uri: str | None
    grant_types_supported: tuple[str, ...]
    token_endpoint_auth_methods_supported: tuple[str, ...]
    token_endpoint_auth_signing_alg_values_supported: tuple[str, ...]
    introspection_endpoint_auth_methods_supported: tuple[str, ...]
    introspection_endpoint_auth_signing_alg_values_supported: tuple[str, ...]
    introspection_signing_alg_values_supported: tuple[str, ...]
    """RFC 9701 §7."""
    revocation_endpoint_auth_methods_supported: tuple[str, ...]
    revocation_endpoint_auth_signing_alg_values_supported: tuple[str, ...]
    tls_client_certificate_bound_access_tokens: bool | None
    """RFC 8705 §3.3."""


def describe(issuer: str, *, signs_with: str | None, mutual_tls: bool) -> Metadata:
    """Describe a server that signs with this algorithm, ``mutual_tls`` if its listener verifies client certificates.

    The issuer is exactly the configured one, and the endpoints lie below it.
    """
    base = issuer.rstrip("/")
    methods = (*_METHODS, "tls_client_auth") if mutual_tls else _METHODS
    return Metadata(
        issuer=issuer,
        token_endpoint=base + TOKEN_PATH,
        introspection_endpoint=base + INTROSPECTION_PATH,
        revocation_endpoint=base + REVOCATION_PATH,
        jwks_uri=None if signs_with is None else base + JWKS_PATH,
        grant_types_supported=GRANT_TYPES,
        token_endpoint_auth_methods_supported=methods,
        token_endpoint_auth_signing_alg_values_supported=ALGORITHMS,
        introspection_endpoint_auth_methods_supported=methods,
        introspection_endpoint_auth_signing_alg_values_supported=ALGORITHMS,
        introspection_signing_alg_values_supported=() if signs_with is None else (signs_with,),
        revocation_endpoint_auth_methods_supported=methods,
        revocation_endpoint_auth_signing_alg_values_supported=ALGORITHMS,
        tls_client_certificate_bound_access_tokens=True if mutual_tls else None,
    )


def checked_issuer(issuer: str) -> str:
    """Return the issuer; raise ``ValueError`` if it is not an http(s) URL without query and fragment (RFC 8414 §2)."""
    parts = urlsplit(issuer)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "?" in issuer or "#" in issuer:
        raise ValueError("an issuer is an http or https URL without query and fragment")
    return issuer
