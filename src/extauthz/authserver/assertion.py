"""private_key_jwt: a client proves itself by a signed assertion (RFC 7523 §2.2, with the audience rule of rfc7523bis).

Pure, but for the public keys that are remembered as parsed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import jwt
from jwt import PyJWK, PyJWKError, PyJWTError

if TYPE_CHECKING:
    from collections.abc import Iterable

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

ALGORITHMS: Final = ("ES256", "PS256", "RS256", "EdDSA")
"""Asymmetric only: nothing that the server knows can make an assertion."""

MAX_AHEAD_SECONDS: Final = 300
"""How far ahead an assertion may expire: so long its ``jti`` must be remembered."""

MAX_JTI_LENGTH: Final = 256

_TYPES: Final = frozenset({"jwt", "client-authentication+jwt"})
"""An assertion need not say what it is, but it must not say that it is something else (RFC 8725 §3.11)."""

_ALGORITHM_OF_KTY: Final = {"EC": ("ES256",), "RSA": ("RS256", "PS256"), "OKP": ("EdDSA",)}

_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

_OPTIONS: Final = {
    f"verify_{claim}": False for claim in ("exp", "iat", "nbf", "aud", "iss", "sub", "jti")
}  # checked below: by our clock, without leeway, and more strictly

_NOBODYS_KEYS: Final = json.dumps(
    {
        "keys": [
            {
                "kty": "EC",
                "crv": "P-256",
                "x": "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY",
                "y": "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU",
            },
            {
                "kty": "RSA",
                "e": "AQAB",
                "n": "4IxbD_CSuWqwujWHiFxQoDHbMGUPSK32lhuQcZ16SVUhuKOtgiHOaQf8MCkq0JotcepshIJmbAuNrmA7OUWsurQc-F_14aQoBGzBuLl_c7r3J7gCkpq0lfAlmvvxfqOD3BJoLcZcCESjHsNlpxz_DyZhLmTAg8yoKit91_OCMdIYOespC8Y8fnu6lsBK_5t-mD1P9VdW1600XOxFEEqnu2tQGxvFpzkz3bfgn4dmtUK4jqCqMFKAdzljghAVORfV35JiSJQ66CBB5pgbDfo_UbZ9wyvpALKomEm-8cT-764zzt7dGS9B2ZCuPhlCBp5rnOBA-EYSlAbp0rfnU_Uxiw",
            },
            {"kty": "OKP", "crv": "Ed25519", "x": "WGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY"},
        ]
    }
)
"""Well-known points, and a modulus whose factors are lost: what is checked for a client that has no fitting key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """What an assertion claims that proved right, but for its ``jti``, which must not have been seen before."""

    client_id: str
    jti: str
    expires_at: int


def claimed_client(text: str) -> str | None:
    """Return the client that the assertion names as its subject, unproved; ``None`` if it cannot be read.

    JSON can spell half a surrogate pair, which UTF-8 cannot hold: that is no name for anything that comes after.
    """
    try:
        sub = jwt.decode(text, options={"verify_signature": False}).get("sub")
        return sub if isinstance(sub, str) and sub.encode() else None
    except (PyJWTError, ValueError):
        return None


def prove(text: str, keys: str, *, client_id: str, issuer: str, now: float) -> Assertion | None:
    """Return the assertion if one of these keys signed it for this issuer and it is good now, else ``None``.

    ``keys`` is a JWK Set as JSON text, empty for a client that has none: one signature is checked all the same, so that
    the time taken does not tell which clients exist.
    """
    try:
        header = jwt.get_unverified_header(text)
        proved = _signed_claims(text, header, keys)
    except (PyJWTError, ValueError, TypeError):
        return None
    return None if proved is None else _accepted(proved, client_id=client_id, issuer=issuer, now=now)


def check_keys(keys: str) -> None:
    """Raise ``ValueError`` for a JWK Set that no assertion can be checked with, or that gives a private key away."""
    try:
        members = json.loads(keys)["keys"]
        private = any(_PRIVATE_MEMBERS & set(jwk) for jwk in members)
    except (ValueError, TypeError, KeyError):
        raise ValueError('the keys of a client are a JWK Set: {"keys": [...]}') from None
    if private:
        raise ValueError("a private or symmetric key is among the keys: register only the public ones")
    if not members or len(_parsed(keys)) < len(members):
        raise ValueError(f"the keys of a client are public keys for {', '.join(ALGORITHMS)}")


def _signed_claims(text: str, header: dict[str, Any], keys: str) -> dict[str, Any] | None:
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS or "crit" in header or not _is_assertion_type(header.get("typ", "JWT")):
        return None
    fitting = _fitting(keys, algorithm, header.get("kid"))
    proved = None
    for key in fitting or _fitting(_NOBODYS_KEYS, algorithm, None):
        proved = proved or _checked(text, key, algorithm)
    return proved if fitting else None


def _checked(text: str, key: PyJWK, algorithm: str) -> dict[str, Any] | None:
    try:
        return jwt.decode(text, key.key, [algorithm], options=_OPTIONS)  # type: ignore[arg-type] # names of PyJWT's own
    except PyJWTError:
        return None


def _fitting(keys: str, algorithm: str, kid: object) -> list[PyJWK]:
    return [
        key
        for key in _parsed(keys)
        if algorithm in _algorithms(key) and (kid is None or key.key_id is None or key.key_id == kid)
    ]


def _algorithms(key: PyJWK) -> Iterable[str]:
    declared = key._jwk_data.get("alg")  # noqa: SLF001 - PyJWK guesses one where the JWK declares none
    fitting = _ALGORITHM_OF_KTY.get(str(key.key_type), ())
    return fitting if declared is None else [name for name in fitting if name == declared]


@lru_cache(maxsize=1024)
def _parsed(keys: str) -> tuple[PyJWK, ...]:
    if not keys:
        return ()
    found = []
    for jwk in json.loads(keys).get("keys", ()):
        try:
            found.append(PyJWK(jwk))
        except (PyJWKError, PyJWTError, ValueError):
            continue  # a key of another kind does not spoil the others
    return tuple(found)


def _is_assertion_type(typ: object) -> bool:
    return isinstance(typ, str) and typ.lower().removeprefix("application/") in _TYPES


def _accepted(claims: dict[str, Any], *, client_id: str, issuer: str, now: float) -> Assertion | None:
    exp, not_before, jti = claims.get("exp"), claims.get("nbf", 0), claims.get("jti")
    if not (claims.get("iss") == claims.get("sub") == client_id and claims.get("aud") in (issuer, [issuer])):
        return None
    if not (_is_time(exp) and _is_time(not_before) and not_before <= now < exp <= now + MAX_AHEAD_SECONDS):
        return None
    if not (isinstance(jti, str) and 0 < len(jti) <= MAX_JTI_LENGTH and jti.isprintable()):
        return None
    return Assertion(client_id=client_id, jti=jti, expires_at=int(exp) + 1)


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
