"""Signed JSON Web Tokens as texts (RFC 7515 §3.1, RFC 7519 §7.2): taken apart strictly, not verified.

What a JWT says before its signature is verified is hearsay. It may help to choose whom to ask, never to answer.
"""

import re
from base64 import b64decode, urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from extauthz.core.strict_json import GarbageError, strict_object

_LOOKS_SIGNED = re.compile(r"([A-Za-z0-9_+/=-]+)\.[A-Za-z0-9_+/=-]*\.[A-Za-z0-9_+/=-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Jws:
    """A signed JWT in its parts.

    Attributes:
        header: the JOSE header.
        claims: the payload.
        signed: the bytes that the signature is about.
        signature: as bytes; empty for an unsigned one.
    """

    header: Mapping[str, Any]
    claims: Mapping[str, Any] = field(repr=False)
    signed: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def is_jws(text: str) -> bool:
    """Whether a token looks like a signed JWT: three parts, the first of which is the start of an object.

    Looks alone, and generously: what looks like one and is broken must not pass for something else.
    """
    match = _LOOKS_SIGNED.fullmatch(text)
    if match is None:
        return False
    head = match[1].replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return b64decode(head + "=" * (-len(head) % 4)).lstrip().startswith(b"{")
    except ValueError:
        return False


def parse_jws(text: str) -> Jws:
    """A signed JWT in its parts.

    Raises:
        GarbageError: when it is none, or has more than one meaning.
    """
    parts = text.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, payload, signature
        raise GarbageError("not three parts")
    header, payload, signature = map(_decode, parts)
    return Jws(
        header=strict_object(header),
        claims=strict_object(payload),
        signed=f"{parts[0]}.{parts[1]}".encode(),
        signature=signature,
    )


def unverified_issuer(text: str) -> str | None:
    """The `iss` that a token claims, if it is a JWT that claims one."""
    return _hearsay(text, "iss")


def unverified_id(text: str) -> str | None:
    """The `jti` that a token claims, likewise."""
    return _hearsay(text, "jti")


def _hearsay(text: str, claim: str) -> str | None:
    try:
        said = parse_jws(text).claims.get(claim) if is_jws(text) else None
    except GarbageError:
        return None
    return said if isinstance(said, str) and said.isprintable() else None


def _decode(part: str) -> bytes:
    """Base64url with nothing left open (RFC 7515 §2): no padding, no other alphabet, no bits to spare."""
    try:
        raw = urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        raise GarbageError("a part is not base64url") from None
    if urlsafe_b64encode(raw).rstrip(b"=") != part.encode():
        raise GarbageError("a part is not base64url")
    return raw
