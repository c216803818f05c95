"""How one authorization server is asked and how long its answers are kept. Times in seconds."""

from dataclasses import dataclass
from enum import StrEnum

from extauthz.core.leniency import STRICT, Leniency


class ClientAuth(StrEnum):
    """How we prove who we are, as the registry of client authentication methods names it, and two ways beyond it."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"
    SECRET_JWT = "client_secret_jwt"  # noqa: S105 - a method
    PRIVATE_KEY_JWT = "private_key_jwt"
    TLS = "tls_client_auth"
    SELF_SIGNED_TLS = "self_signed_tls_client_auth"
    BEARER = "bearer"
    NONE = "none"


WITH_SECRET = frozenset({ClientAuth.BASIC, ClientAuth.POST, ClientAuth.SECRET_JWT})
WITH_CERTIFICATE = frozenset({ClientAuth.TLS, ClientAuth.SELF_SIGNED_TLS})


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionSettings:
    """How a client assertion is made (RFC 7523 and its update, draft-ietf-oauth-rfc7523bis).

    Attributes:
        audience: `aud`, as its only value: the server's issuer, unless an older server wants something else.
        algorithm: JWS algorithm; empty takes the one that fits the key.
        key_id: `kid`; empty sends none.
        kind: `typ`.
    """

    audience: str = ""
    algorithm: str = ""
    key_id: str = ""
    kind: str = "client-authentication+jwt"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """One authorization server.

    Attributes:
        name: as the policy calls it.
        introspection_endpoint: absolute URL; empty when it is to be discovered.
        client_id: who we are to the server.
        issuer: the `iss` that answers must name if they name one; None accepts any.
        token_type_hint: sent along when not empty.
        leniency: which shapes beside the standard's its answers may have.
        token_type_required: whether an answer without `token_type` is about no access token.
        mode: what decides about a token: `introspect`, `jwt` or `jwt_then_introspect`.
        timeout: total time for one question, body included.
        max_connections: connections open at once.
        ttl: longest life of an active answer in the cache.
        negative_ttl: longest life of an inactive answer.
        stale_if_error: how much longer an active answer may be used when the server cannot be asked.
        max_entries: answers kept.
        max_bytes: memory that they may take, by estimate; inactive answers have a tenth of both bounds besides.
    """

    name: str
    introspection_endpoint: str = ""
    client_id: str = ""
    issuer: str | None = None
    token_type_hint: str = "access_token"  # noqa: S105 - a hint, not a token
    leniency: Leniency = STRICT
    token_type_required: bool = False
    mode: str = "introspect"
    timeout: float = 0.5
    max_connections: int = 100
    ttl: float = 60.0
    negative_ttl: float = 10.0
    stale_if_error: float = 0.0
    max_entries: int = 100_000
    max_bytes: int = 256 * 1024 * 1024
