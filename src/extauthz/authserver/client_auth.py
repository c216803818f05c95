"""Who is calling: the credentials of a request as they are read, and secrets checked with bcrypt.

Read are client_secret_basic and client_secret_post (RFC 6749 §2.3.1), private_key_jwt (RFC 7523 §2.2) and
tls_client_auth (RFC 8705 §2.1). Reading the request is pure; only ``SecretVerifier`` spends time, and it does so off the event loop.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_plus

import bcrypt

from extauthz.authserver.assertion import ASSERTION_TYPE, claimed_client
from extauthz.authserver.errors import ErrorCode, OAuthError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

BCRYPT_ROUNDS: Final = 12
"""Base-2 logarithm of the work: about a fifth of a second for each check."""

MAX_SECRET_BYTES: Final = 72
"""bcrypt reads no further; a longer secret is refused when a client is registered."""

VERIFIED_SECONDS: Final = 3600.0
"""How long a secret that passed need not be checked with bcrypt again. A changed secret does not wait for it."""

VERIFIED_ENTRIES: Final = 1024
"""How many secrets that passed are remembered at once; the oldest goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """One reading of the credentials that a request carries."""

    client_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedAssertion:
    """A signed assertion, and the client that it names."""

    client_id: str
    assertion: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PresentedCertificate:
    """The subject (RFC 4514) of the certificate that the listener has verified, and the client that the form names."""

    client_id: str
    subject: str


Credentials = tuple[Presented, ...] | PresentedAssertion | PresentedCertificate
"""The one set of credentials of a request. Of several readings of a secret any may authenticate."""


def read_credentials(
    authorization: Sequence[str], form: Mapping[str, str], *, certificate_subject: str | None = None
) -> Credentials:
    """Return the one set of credentials in the request.

    A secret has two readings when a Basic pair differs before and after form-decoding: RFC 6749 asks for the encoding,
    and many clients leave it out. ``authorization`` holds every value of that header, ``form`` no empty values. A
    certificate counts only where nothing else is presented: it may belong to the connection of a proxy.

    Raises ``OAuthError``: ``invalid_request`` for more than one method (§2.3) or two client ids, ``invalid_client`` for
    none or an unreadable one. A client id alone is no authentication.
    """
    body_id, body_secret = form.get("client_id"), form.get("client_secret")
    assertion = form.get("client_assertion")
    asserted = assertion is not None or "client_assertion_type" in form
    if len(authorization) + (body_secret is not None) + asserted > 1:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "More than one client authentication method")
    if authorization:
        return _same_client(_read_basic(authorization[0]), body_id)
    if asserted:
        return _read_assertion(assertion, form.get("client_assertion_type"), body_id)
    if body_id is not None and body_secret is not None:
        return (Presented(client_id=body_id, secret=body_secret),)
    if body_id is not None and certificate_subject:
        return PresentedCertificate(client_id=body_id, subject=certificate_subject)
    raise OAuthError(ErrorCode.INVALID_CLIENT, "Client authentication is required")


def _read_assertion(assertion: str | None, kind: str | None, body_id: str | None) -> PresentedAssertion:
    if assertion is None or kind is None:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "client_assertion and client_assertion_type go together")
    client_id = claimed_client(assertion)
    if kind != ASSERTION_TYPE or client_id is None:
        raise OAuthError(ErrorCode.INVALID_CLIENT, "The client assertion is not readable")
    if body_id not in (None, client_id):
        raise OAuthError(ErrorCode.INVALID_REQUEST, "client_id is not the client that authenticates")
    return PresentedAssertion(client_id=client_id, assertion=assertion)


def _same_client(readings: tuple[Presented, ...], body_id: str | None) -> tuple[Presented, ...]:
    if body_id is None:
        return readings
    same = tuple(reading for reading in readings if reading.client_id == body_id)
    if not same:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "client_id is not the client that authenticates")
    return same


def _read_basic(value: str) -> tuple[Presented, ...]:
    scheme, _, encoded = value.partition(" ")
    if scheme.lower() != "basic":
        raise OAuthError(ErrorCode.INVALID_CLIENT, "Client authentication is by HTTP Basic or in the form")
    try:
        pair = base64.b64decode(encoded.lstrip(" "), validate=True).decode()
    except ValueError:
        raise OAuthError(ErrorCode.INVALID_CLIENT, "The Basic credentials are not readable") from None
    client_id, colon, secret = pair.partition(":")
    if not colon:
        raise OAuthError(ErrorCode.INVALID_CLIENT, "The Basic credentials are not readable")
    raw = Presented(client_id=client_id, secret=secret)
    if "%" not in pair and "+" not in pair:
        return (raw,)
    decoded = _form_decoded(raw)
    return (raw,) if decoded in (raw, None) else (decoded, raw)


def _form_decoded(raw: Presented) -> Presented | None:
    try:
        return Presented(
            client_id=unquote_plus(raw.client_id, errors="strict"),
            secret=unquote_plus(raw.secret, errors="strict"),
        )
    except UnicodeDecodeError:
        return None


def hash_secret(secret: str, *, rounds: int = BCRYPT_ROUNDS) -> str:
    """Return what may be stored of a secret.

    Raises ``ValueError`` for an empty secret or one longer than ``MAX_SECRET_BYTES``.
    """
    plain = secret.encode()
    if not 0 < len(plain) <= MAX_SECRET_BYTES:
        raise ValueError(f"a client secret has 1 to {MAX_SECRET_BYTES} bytes")
    return bcrypt.hashpw(plain, bcrypt.gensalt(rounds)).decode()


class SecretVerifier:
    """Compares secrets with their bcrypt hashes in worker threads.

    A secret that passed is remembered for a while, as a digest under a key that only this process knows. The stored
    hash goes into the digest: a changed secret makes the memory of the old one worthless at once. Callers that present
    the same secret for the same client at the same time wait for one check.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic, rounds: int = BCRYPT_ROUNDS) -> None:
        self._monotonic = monotonic
        self._key = secrets.token_bytes(32)
        self._nobody = (bcrypt.gensalt(rounds) + b"." * 31).decode()
        self._verified_until: dict[bytes, float] = {}
        self._checks: dict[tuple[str, bytes], asyncio.Task[bool]] = {}

    def remembers(self, secret: str, secret_hash: str | None) -> bool:
        """Tell whether this secret was found to belong to the hash a while ago."""
        return secret_hash is not None and self._is_fresh(self._digest(secret.encode(), secret_hash))

    async def matches(self, secret: str, secret_hash: str | None, *, place: str = "") -> bool:
        """Tell whether the secret belongs to the hash.

        ``None`` stands for a client that does not exist: never a match, and as slow as a wrong secret, so that the time
        taken does not tell which clients exist. Only callers with the same ``place``, which names the client and which
        of its secrets, share a check: else a client that does not exist would share with all others that do not.
        """
        plain = secret.encode()
        if secret_hash is None or len(plain) > MAX_SECRET_BYTES:
            plain, secret_hash = plain[:MAX_SECRET_BYTES], self._nobody
        digest = self._digest(plain, secret_hash)
        if self._is_fresh(digest):
            return True
        key = (place, digest)
        check = self._checks.get(key)
        if check is None:
            check = self._checks[key] = asyncio.create_task(self._check(key, plain, secret_hash))
        return await asyncio.shield(check)  # a caller that leaves does not end the check of the others

    async def _check(self, key: tuple[str, bytes], plain: bytes, secret_hash: str) -> bool:
        try:
            matched = await asyncio.to_thread(bcrypt.checkpw, plain, secret_hash.encode())
        finally:
            del self._checks[key]
        if matched and secret_hash != self._nobody:
            self._remember(key[1])
            return True
        return False

    def _digest(self, plain: bytes, secret_hash: str) -> bytes:
        return hashlib.blake2b(secret_hash.encode() + b"\0" + plain, key=self._key, digest_size=32).digest()

    def _is_fresh(self, digest: bytes) -> bool:
        return self._verified_until.get(digest, 0.0) > self._monotonic()

    def _remember(self, digest: bytes) -> None:
        self._verified_until.pop(digest, None)
        if len(self._verified_until) >= VERIFIED_ENTRIES:
            del self._verified_until[next(iter(self._verified_until))]
        self._verified_until[digest] = self._monotonic() + VERIFIED_SECONDS
