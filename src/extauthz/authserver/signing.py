"""Access tokens and introspection answers as signed JWTs (RFC 9068, RFC 9701), and the public keys to check them with (RFC 7517)."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Self

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from extauthz.authserver.store.base import token_digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from extauthz.authserver.store.base import TokenRecord

MIN_RSA_BITS: Final = 2048
"""RFC 7518 §3.3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """One private key with the one algorithm that it is for, and its public half as a JWK."""

    algorithm: str
    private: RSAPrivateKey | EllipticCurvePrivateKey = field(repr=False)
    public: Mapping[str, Any]

    @classmethod
    def of_pem(cls, pem: bytes) -> Self:
        """Read an unencrypted private key, RSA for RS256 or P-256 for ES256. Raises ``ValueError`` for any other."""
        try:
            private = load_pem_private_key(pem, password=None)
        except TypeError:
            raise ValueError("the key is encrypted; give it without a passphrase, in a private file") from None
        if isinstance(private, RSAPrivateKey) and private.key_size >= MIN_RSA_BITS:
            return cls._of("RS256", private, RSAAlgorithm.to_jwk(private.public_key(), as_dict=True), ("e", "kty", "n"))
        if isinstance(private, EllipticCurvePrivateKey) and isinstance(private.curve, SECP256R1):
            members = ("crv", "kty", "x", "y")
            return cls._of("ES256", private, ECAlgorithm.to_jwk(private.public_key(), as_dict=True), members)
        raise ValueError(f"a signing key is RSA of at least {MIN_RSA_BITS} bits, or on the curve P-256")

    @classmethod
    def _of(
        cls,
        algorithm: str,
        private: RSAPrivateKey | EllipticCurvePrivateKey,
        jwk: Mapping[str, Any],
        members: Sequence[str],
    ) -> Self:
        bare = {name: jwk[name] for name in members}
        kid = _thumbprint(bare)
        return cls(algorithm=algorithm, private=private, public={**bare, "kid": kid, "use": "sig", "alg": algorithm})


class SigningKeys:
    """The first key signs; all are published, so that keys can be announced before use and outlive it."""

    def __init__(self, keys: Sequence[SigningKey]) -> None:
        """Raise ``ValueError`` if there is none, or one twice."""
        if not keys or len({key.public["kid"] for key in keys}) < len(keys):
            raise ValueError("signing keys are at least one, and each is named once")
        self._keys = tuple(keys)

    @classmethod
    def load(cls, paths: Sequence[Path]) -> Self:
        """Read one key from each PEM file. Raises ``ValueError`` that names the file, or ``OSError``."""
        return cls([_load(path) for path in paths])

    def jwks(self) -> dict[str, Any]:
        """Return the public keys as a JWK Set."""
        return {"keys": [dict(key.public) for key in self._keys]}

    async def as_jwt(self, record: TokenRecord, issuer: str) -> tuple[str, TokenRecord]:
        """Return the token of this record as a JWT, and the record that finds it.

        A token without a user gets the client as ``sub``, which RFC 9068 §2.2 asks for.
        """
        record = replace(record, sub=record.client_id if record.sub is None else record.sub)
        token = await self.sign({**record.claims, **_claims(record, issuer)}, "at+jwt")
        return token, replace(record, digest=token_digest(token))

    @property
    def algorithm(self) -> str:
        """What the first key signs with."""
        return self._keys[0].algorithm

    async def sign(self, claims: Mapping[str, Any], kind: str) -> str:
        """Return the claims as a JWT whose ``typ`` is this."""
        key = self._keys[0]
        if key.algorithm == "RS256":  # a millisecond and more; ES256 is done in a tenth of that
            return await asyncio.to_thread(_sign, key, claims, kind)
        return _sign(key, claims, kind)


def _claims(record: TokenRecord, issuer: str) -> dict[str, Any]:
    claims = {
        "iss": issuer,
        "sub": record.sub,
        "aud": record.audience[0] if len(record.audience) == 1 else list(record.audience),
        "client_id": record.client_id,
        "exp": record.expires_at,
        "iat": record.issued_at,
        "nbf": record.not_before,
        "jti": record.jti,
        "scope": " ".join(record.scope) or None,
    }
    return {name: value for name, value in claims.items() if value is not None}


def _sign(key: SigningKey, claims: Mapping[str, Any], kind: str) -> str:
    return jwt.encode(dict(claims), key.private, key.algorithm, {"typ": kind, "kid": key.public["kid"]})


def _load(path: Path) -> SigningKey:
    try:
        return SigningKey.of_pem(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _thumbprint(members: Mapping[str, str]) -> str:
    """RFC 7638 §3."""
    canonical = json.dumps(dict(members), separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).rstrip(b"=").decode()
