"""Keys are read strictly, and never repeated in an error; what cannot be used is refused before anything is signed."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from extauthz.keyfiles import MAX_SECRET_BYTES, UnusableError
from extauthz.signatures import PrivateKey, algorithms_of, read_private_key

CANARY = "canary-4f1c"
P256 = ec.generate_private_key(ec.SECP256R1())


def pem(key: PrivateKey | dsa.DSAPrivateKey, encryption: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [
        (rsa.generate_private_key(65537, 2048), ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        (P256, ("ES256",)),
        (ec.generate_private_key(ec.SECP384R1()), ("ES384",)),
        (ec.generate_private_key(ec.SECP521R1()), ("ES512",)),
        (ed25519.Ed25519PrivateKey.generate(), ("EdDSA", "Ed25519")),
    ],
    ids=["RSA", "P-256", "P-384", "P-521", "Ed25519"],
)
def test_a_private_key_that_can_sign_is_read(key: PrivateKey, algorithms: tuple[str, ...], tmp_path: Path) -> None:
    """And its algorithms are known, likewise those of its public half."""
    (tmp_path / "key").write_bytes(pem(key))
    assert algorithms_of(read_private_key(tmp_path / "key")) == algorithms
    assert algorithms_of(key.public_key()) == algorithms
    for algorithm in algorithms:
        assert read_private_key(tmp_path / "key", algorithm).public_key() == key.public_key()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (CANARY.encode(), "no private key in PEM"),
        (pem(P256, BestAvailableEncryption(b"x")), "encrypted"),
        (pem(rsa.generate_private_key(65537, 1024)), "cannot be used"),  # noqa: S505 - that is the point
        (pem(ec.generate_private_key(ec.SECP256K1())), "cannot be used"),
        (pem(dsa.generate_private_key(1024)), "cannot be used"),  # noqa: S505 - that is the point
        (b"x" * (MAX_SECRET_BYTES + 1), "larger than"),
    ],
    ids=["no key", "encrypted", "RSA 1024", "secp256k1", "DSA", "large"],
)
def test_a_file_without_a_usable_key_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    """The message says what to put there."""
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(UnusableError, match=words) as refused:
        read_private_key(tmp_path / "key")
    assert CANARY not in str(refused.value)


def test_a_key_for_another_algorithm_is_refused(tmp_path: Path) -> None:
    """The message says what it can."""
    (tmp_path / "key").write_bytes(pem(P256))
    with pytest.raises(UnusableError, match="does not sign with RS256, but with ES256"):
        read_private_key(tmp_path / "key", "RS256")
