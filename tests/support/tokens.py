"""JWTs and keys for tests: good ones, and ones that no library would make."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm, get_default_algorithms

from extauthz.signatures import PrivateKey

ISSUER = "https://as.example.com"
AUDIENCE = "https://api.example.com"
NOW = 1_700_000_000

CLAIMS: Mapping[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "user-1",
    "client_id": "app",
    "scope": "orders:read",
    "jti": "a1",
    "iat": NOW,
    "exp": NOW + 300,
}


def b64(raw: bytes) -> str:
    """Base64url without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def sign(signed: str, key: PrivateKey, algorithm: str) -> bytes:
    """A signature over the first two parts."""
    name = "EdDSA" if algorithm == "Ed25519" else algorithm
    return bytes(get_default_algorithms()[name].sign(signed.encode(), key))


def minted(
    key: PrivateKey,
    algorithm: str = "ES256",
    *,
    header: Mapping[str, Any] | None = None,
    claims: Mapping[str, Any] | bytes = CLAIMS,
) -> str:
    """A JWT access token; `...` leaves a member out, bytes are the payload as it is."""
    head = {"alg": algorithm, "typ": "at+jwt", "kid": "k1", **(header or {})}
    payload = claims if isinstance(claims, bytes) else dump({**CLAIMS, **claims})
    signed = f"{b64(dump(head))}.{b64(payload)}"
    return f"{signed}.{b64(sign(signed, key, algorithm))}"


def dump(members: Mapping[str, Any]) -> bytes:
    """JSON without the members that are left out."""
    return json.dumps({name: value for name, value in members.items() if value is not ...}).encode()


def jwk(key: PrivateKey, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    """The public half as a server publishes it; `...` leaves a member out."""
    public = key.public_key()
    match public:
        case rsa.RSAPublicKey():
            made = RSAAlgorithm.to_jwk(public, as_dict=True)
        case ec.EllipticCurvePublicKey():
            made = ECAlgorithm.to_jwk(public, as_dict=True)
        case ed25519.Ed25519PublicKey():
            made = OKPAlgorithm.to_jwk(public, as_dict=True)
    made = {name: value for name, value in made.items() if name != "key_ops"}
    return {name: value for name, value in (made | {"kid": "k1"} | members).items() if value is not ...}


def jwks(*keys: object) -> bytes:
    """A document with these keys."""
    return json.dumps({"keys": keys}).encode()
