"""What is used of a client's certificate."""

from __future__ import annotations

import base64
import hashlib
import ssl
from typing import TYPE_CHECKING, Any

import pytest

from extauthz.authserver.certificate import presented_certificate
from support.certificates import Authority

if TYPE_CHECKING:
    from pathlib import Path


def scope(**tls: Any) -> dict[str, Any]:  # noqa: ANN401 - ASGI
    return {"extensions": {"tls": {"client_cert_error": None, **tls}}}


def test_its_subject_and_its_thumbprint(tmp_path: Path) -> None:
    """The thumbprint is SHA-256 over DER, in base64url without padding (RFC 8705 §3.1)."""
    pem = Authority(tmp_path).issue("machine").certificate.read_text()
    found = presented_certificate(scope(client_cert_chain=(pem, "the authority")))
    assert found is not None
    assert found.subject == "CN=machine"
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).digest()
    assert found.thumbprint == base64.urlsafe_b64encode(digest).decode().rstrip("=")


@pytest.mark.parametrize(
    "asked",
    [{}, {"extensions": {"tls": None}}, scope(client_cert_chain=()), scope(client_cert_chain=("no certificate",))],
)
def test_what_is_no_certificate_is_none(asked: dict[str, Any]) -> None:
    """Whatever the listener passes on."""
    assert presented_certificate(asked) is None


def test_one_that_was_not_verified_is_none(tmp_path: Path) -> None:
    """The listener says so beside it."""
    pem = Authority(tmp_path).issue("machine").certificate.read_text()
    assert presented_certificate(scope(client_cert_chain=(pem,), client_cert_error="expired")) is None
