"""The certificate of a client, as the listener has verified it: whose it is, and what a token may be bound to. Pure."""

from __future__ import annotations

import base64
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import load_pem_x509_certificate

if TYPE_CHECKING:
    from collections.abc import Mapping


class Certificate(NamedTuple):
    """What is used of a certificate."""

    subject: str
    """RFC 4514."""
    thumbprint: str
    """``x5t#S256`` (RFC 8705 §3.1): SHA-256 over the certificate as DER, in base64url."""


def presented_certificate(scope: Mapping[str, Any]) -> Certificate | None:
    """Return the first of ASGI's TLS extension: the chain that the listener has verified.

    Its own spelling of the name is not needed.
    """
    tls = scope.get("extensions", {}).get("tls") or {}
    chain = tls.get("client_cert_chain")
    return _read(chain[0]) if chain and not tls.get("client_cert_error") else None


@lru_cache(maxsize=1024)
def _read(pem: str) -> Certificate | None:
    try:
        certificate = load_pem_x509_certificate(pem.encode())
    except ValueError:
        return None
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(SHA256())).rstrip(b"=").decode()
    return Certificate(subject=certificate.subject.rfc4514_string(), thumbprint=thumbprint)
