"""Asymmetric keys: read, sign, verify. All of the library for that is behind this module.

It is read in where a key is first used, not at the top of those modules: with the library it takes 11 MiB and a tenth of
the start, and a worker that introspects with a client secret uses no key.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt import algorithms

from extauthz.keyfiles import UnusableError, read_small

MIN_RSA_BITS = 2048
"""RFC 7518 §3.3."""

RSA_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
EC_ALGORITHMS = {"secp256r1": ("ES256",), "secp384r1": ("ES384",), "secp521r1": ("ES512",)}

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_READERS: Final[Mapping[str, Callable[[dict[str, Any]], object]]] = {
    "RSA": algorithms.RSAAlgorithm.from_jwk,
    "EC": algorithms.ECAlgorithm.from_jwk,
    "OKP": algorithms.OKPAlgorithm.from_jwk,
}
_ALGORITHMS: Final = algorithms.get_default_algorithms()
_VERIFIERS: Final = _ALGORITHMS | {"Ed25519": _ALGORITHMS["EdDSA"]}


def read_private_key(path: Path, algorithm: str = "") -> PrivateKey:
    """A private key in PEM, not encrypted: RSA of 2048 bits or more, EC on P-256, P-384 or P-521, or Ed25519.

    Raises:
        UnusableError: when there is none, or none that signs with the algorithm.
    """
    try:
        key = load_pem_private_key(read_small(path), password=None)
    except TypeError:
        raise UnusableError("this key is encrypted: write it to a file without a password") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableError("this file has no private key in PEM") from None
    if not isinstance(key, PrivateKey) or not algorithms_of(key):
        raise UnusableError(
            "this key cannot be used: RSA of 2048 bits or more, EC on P-256, P-384 or P-521, or Ed25519"
        )
    if algorithm and algorithm not in algorithms_of(key):
        raise UnusableError(f"this key does not sign with {algorithm}, but with {', '.join(algorithms_of(key))}")
    return key


def algorithms_of(key: PrivateKey | PublicKey) -> tuple[str, ...]:
    """The JWS algorithms of a key, the one that every server knows first; none when the key is too weak or too odd."""
    match key:
        case rsa.RSAPrivateKey() | rsa.RSAPublicKey():
            return RSA_ALGORITHMS if key.key_size >= MIN_RSA_BITS else ()
        case ec.EllipticCurvePrivateKey() | ec.EllipticCurvePublicKey():
            return EC_ALGORITHMS.get(key.curve.name, ())
        case _:
            return ("EdDSA", "Ed25519")  # RFC 8037 and its update RFC 9864


def read_public_key(jwk: dict[str, Any]) -> PublicKey | None:
    """The key of a JWK (RFC 7517); None for one of another kind, a private one, or one that cannot be read."""
    reader = _READERS.get(str(jwk.get("kty")))
    try:
        key = None if reader is None else reader(jwk)
    except Exception:  # noqa: BLE001 - a key that cannot be read is not used, whatever is wrong with it
        return None
    return key if isinstance(key, PublicKey) else None


def is_signed(text: bytes, signature: bytes, key: PublicKey, algorithm: str) -> bool:
    """Whether the signature is good. Whatever the library finds wrong, it is not."""
    try:
        return bool(_VERIFIERS[algorithm].verify(text, key, signature))
    except Exception:  # noqa: BLE001 - see above
        return False


def sign_jwt(claims: dict[str, Any], key: PrivateKey, algorithm: str, headers: dict[str, str]) -> str:
    """A JWT; with the algorithm that every server knows for this key unless one is named."""
    return jwt.encode(claims, key, algorithm or algorithms_of(key)[0], headers)
