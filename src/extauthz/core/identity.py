"""Identity headers for the upstream: every configured name is set or removed on every allow, so no client can forge one."""

import re
from dataclasses import dataclass

from extauthz.core.introspection import Active

MAX_IDENTITY_BYTES = 3500
"""All names and values together. NGINX refuses larger response heads by default; a cut value would be a lie."""

CLAIMS = ("sub", "scope", "client_id", "username", "iss", "jti")
"""Claims that a header may carry."""

HEADER_NAME = re.compile(r"[a-z0-9]{1,32}(-[a-z0-9]{1,32}){0,4}")
RESERVED_HEADERS = re.compile(
    r"host|connection|content-.*|transfer-encoding|te|trailer|upgrade|keep-alive|proxy-.*|grpc-.*|authorization|cookie|"
    r"x-authz-.*|x-original-.*|x-forwarded-.*|x-envoy-.*|x-request-id"
)
_FORWARDABLE = re.compile(r"[\x21-\x7E](?:[\x20-\x7E]*[\x21-\x7E])?")

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class IdentityHeaders:
    """Pairs of header name and claim, in the order of the policy file."""

    pairs: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All header names."""
        return tuple(name for name, _ in self.pairs)

    def forward(self, token: Active) -> tuple[Headers, tuple[str, ...]] | None:
        """Headers to set and names to remove; None when a value must not be forwarded.

        A claim that the token lacks is removed, never sent empty and never filled from another claim.
        """
        present: list[tuple[str, str]] = []
        absent: list[str] = []
        size = 0
        for name, claim in self.pairs:
            value: str | None = getattr(token, claim)
            if not value:
                absent.append(name)
                continue
            if _FORWARDABLE.fullmatch(value) is None:
                return None
            size += len(name) + len(value)
            present.append((name, value))
        return (tuple(present), tuple(absent)) if size <= MAX_IDENTITY_BYTES else None


NO_IDENTITY = IdentityHeaders()


def check_header_name(name: str) -> str:
    """Return the name unchanged.

    Raises:
        ValueError: when it is not a lower-case header name, or one that a proxy acts upon.
    """
    if HEADER_NAME.fullmatch(name) is None:
        raise ValueError(
            "an identity header is lower-case letters and digits with up to four single hyphens, such as x-auth-sub"
        )
    if RESERVED_HEADERS.fullmatch(name) is not None:
        raise ValueError(f"{name} has a meaning of its own for gateways and cannot carry identity")
    return name
