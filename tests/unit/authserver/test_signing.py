"""JWT access tokens (RFC 9068) and the published keys."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from extauthz.authserver.signing import SigningKey, SigningKeys
from extauthz.authserver.store.base import TokenRecord, token_digest

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

ISSUER = "https://as.example.com"
RSA_KEY: PrivateKeyTypes = rsa.generate_private_key(65537, 2048)
EC_KEY: PrivateKeyTypes = ec.generate_private_key(ec.SECP256R1())
RECORD = TokenRecord(
    digest=bytes(32),
    jti="j1",
    client_id="app",
    scope=("a", "b"),
    audience=("api",),
    issued_at=4_000_000_000,
    expires_at=4_000_000_060,
    claims={"acr": "1"},
)


def pem(key: PrivateKeyTypes, encryption: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.mark.parametrize(("key", "algorithm"), [(RSA_KEY, "RS256"), (EC_KEY, "ES256")])
async def test_a_jwt_says_what_its_record_says(key: PrivateKeyTypes, algorithm: str) -> None:
    """Anybody can check it with the published keys, and finds the claims of RFC 9068 §2.2 and no null."""
    keys = SigningKeys([SigningKey.of_pem(pem(key))])
    token, record = await keys.as_jwt(RECORD, ISSUER)
    published = jwt.PyJWKSet.from_dict(json.loads(json.dumps(keys.jwks())))
    header = jwt.get_unverified_header(token)
    assert (header["typ"], header["alg"]) == ("at+jwt", algorithm)
    options = {"verify_iat": False}
    claims = jwt.decode(
        token,
        published[header["kid"]],
        [algorithm],
        audience="api",
        issuer=ISSUER,
        options=options,  # type: ignore[arg-type] # names of PyJWT's own
    )
    assert claims == {
        "iss": ISSUER,
        "sub": "app",
        "aud": "api",
        "client_id": "app",
        "exp": 4_000_000_060,
        "iat": 4_000_000_000,
        "jti": "j1",
        "scope": "a b",
        "acr": "1",
    }
    assert record == replace(RECORD, digest=token_digest(token), sub="app")


async def test_first_key_signs_and_all_are_published(tmp_path: Path) -> None:
    """A key is announced before it signs and stays known afterwards, each with the one algorithm it is for."""
    paths = [tmp_path / "rsa.pem", tmp_path / "ec.pem"]
    for path, key in zip(paths, (RSA_KEY, EC_KEY), strict=True):
        path.write_bytes(pem(key))
    keys, turned = SigningKeys.load(paths), SigningKeys.load(paths[::-1])
    assert [key["alg"] for key in keys.jwks()["keys"]] == ["RS256", "ES256"]
    assert {key["kid"] for key in keys.jwks()["keys"]} == {key["kid"] for key in turned.jwks()["keys"]}
    assert all({"d", "p", "q"}.isdisjoint(key) and key["use"] == "sig" for key in keys.jwks()["keys"])
    token, _ = await turned.as_jwt(RECORD, ISSUER)
    assert jwt.get_unverified_header(token)["kid"] == turned.jwks()["keys"][0]["kid"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "key.pem: ", id="empty"),
        pytest.param(pem(rsa.generate_private_key(65537, 1024)), "2048 bits", id="short"),  # noqa: S505 - that is the point
        pytest.param(pem(ec.generate_private_key(ec.SECP384R1())), "P-256", id="another curve"),
        pytest.param(pem(ed25519.Ed25519PrivateKey.generate()), "P-256", id="another kind"),
        pytest.param(pem(EC_KEY, BestAvailableEncryption(b"x")), "encrypted", id="encrypted"),
    ],
)
def test_what_cannot_sign_is_refused_by_name(tmp_path: Path, content: bytes, message: str) -> None:
    """A file without a good private key stops the start, and the message names it."""
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        SigningKeys.load([path])


def test_keys_are_some_and_different() -> None:
    """No key and the same key twice are slips of the operator."""
    key = SigningKey.of_pem(pem(EC_KEY))
    for keys in ([], [key, key]):
        with pytest.raises(ValueError, match="at least one"):
            SigningKeys(keys)
    assert "PrivateKey" not in repr(key)
