"""How one authorization server is asked and how long its answers are kept. Times in seconds."""

from dataclasses import dataclass, field
from enum import StrEnum


class ClientAuth(StrEnum):
    """How we prove who we are (RFC 6749 §2.3.1)."""

    BASIC = "client_secret_basic"
    POST = "client_secret_post"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """One authorization server.

    Attributes:
        name: as the policy calls it.
        introspection_endpoint: absolute URL.
        client_id: who we are to the server.
        client_secret: shown nowhere.
        client_auth: where id and secret are put.
        issuer: the `iss` that answers must name if they name one; None accepts any.
        token_type_hint: sent along when not empty.
        timeout: total time for one question, body included.
        max_connections: connections open at once.
        ttl: longest life of an active answer in the cache.
        negative_ttl: longest life of an inactive answer.
        stale_if_error: how much longer an active answer may be used when the server cannot be asked.
        max_entries: answers kept.
        max_bytes: memory that they may take, by estimate; inactive answers have a tenth of both bounds besides.
    """

    name: str
    introspection_endpoint: str
    client_id: str
    client_secret: str = field(repr=False)
    client_auth: ClientAuth = ClientAuth.BASIC
    issuer: str | None = None
    token_type_hint: str = "access_token"  # noqa: S105 - a hint, not a token
    timeout: float = 0.5
    max_connections: int = 100
    ttl: float = 60.0
    negative_ttl: float = 10.0
    stale_if_error: float = 0.0
    max_entries: int = 100_000
    max_bytes: int = 256 * 1024 * 1024
