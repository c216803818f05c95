"""Who is calling: client_secret_basic and client_secret_post (RFC 6749 §2.3.1), secrets checked with bcrypt.

Reading the request is pure; only ``SecretVerifier`` spends time, and it does so off the event loop.
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

from extauthz.authserver.errors import ErrorCode, OAuthError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

BCRYPT_ROUNDS: Final = 12
"""Base-2 logarithm of the work: about a fifth of a second for each check."""

MAX_SECRET_BYTES: Final = 72
"""bcrypt reads no further; a longer secret is refused when a client is registered."""

VERIFIED_SECONDS: Final = 60.0
"""How long a secret that passed need not be checked with bcrypt again."""

VERIFIED_ENTRIES: Final = 1024
"""How many secrets that passed are remembered at once; the oldest goes first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """One reading of the credentials that a request carries."""

    client_id: str
    secret: str = field(repr=False)


def read_credentials(authorization: Sequence[str], form: Mapping[str, str]) -> tuple[Presented, ...]:
    """Return the readings of the one set of credentials in the request; any of them may authenticate.

    There are two when a Basic pair differs before and after form-decoding: RFC 6749 asks for the encoding, and many
    clients leave it out. ``authorization`` holds every value of that header, ``form`` no empty values.

    Raises ``OAuthError``: ``invalid_request`` for more than one method (§2.3) or two client ids, ``invalid_client`` for
    none or an unreadable one. A client id alone is no authentication.
    """
    body_id, body_secret = form.get("client_id"), form.get("client_secret")
    if len(authorization) > 1 or (authorization and body_secret is not None):
        raise OAuthError(ErrorCode.INVALID_REQUEST, "More than one client authentication method")
    if authorization:
        return _same_client(_read_basic(authorization[0]), body_id)
    if body_id is None or body_secret is None:
        raise OAuthError(ErrorCode.INVALID_CLIENT, "Client authentication is required")
    return (Presented(client_id=body_id, secret=body_secret),)


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
    """Compares secrets with their bcrypt hashes in a worker thread.

    A secret that passed is remembered for a short while, as a digest under a key that only this process knows. The
    stored hash goes into the digest: a changed secret makes the memory of the old one worthless at once.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic, rounds: int = BCRYPT_ROUNDS) -> None:
        self._monotonic = monotonic
        self._key = secrets.token_bytes(32)
        self._nobody = bcrypt.gensalt(rounds) + b"." * 31
        self._verified_until: dict[bytes, float] = {}

    async def matches(self, secret: str, secret_hash: str | None) -> bool:
        """Tell whether the secret belongs to the hash.

        ``None`` stands for a client that does not exist: never a match, and as slow as a wrong secret, so that the time
        taken does not tell which clients exist.
        """
        plain = secret.encode()
        if secret_hash is None or len(plain) > MAX_SECRET_BYTES:
            await asyncio.to_thread(bcrypt.checkpw, b"", self._nobody)
            return False
        digest = hashlib.blake2b(secret_hash.encode() + b"\0" + plain, key=self._key, digest_size=32).digest()
        if self._verified_until.get(digest, 0.0) > self._monotonic():
            return True
        matched = await asyncio.to_thread(bcrypt.checkpw, plain, secret_hash.encode())
        if matched:
            self._remember(digest)
        return matched

    def _remember(self, digest: bytes) -> None:
        self._verified_until.pop(digest, None)
        if len(self._verified_until) >= VERIFIED_ENTRIES:
            del self._verified_until[next(iter(self._verified_until))]
        self._verified_until[digest] = self._monotonic() + VERIFIED_SECONDS
