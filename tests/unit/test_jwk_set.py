"""Only a public key that can verify a signature is taken from a document."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from extauthz.core.strict_json import GarbageError
from extauthz.jwk_set import MAX_KEYS, KeySet, read_jwks, read_jwks_file
from extauthz.keyfiles import UnusableError
from support.tokens import jwk, jwks

P256 = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)


def kids(keys: KeySet) -> list[str]:
    return [key.kid for key in keys.keys]


class TestReading:
    """One document of an issuer."""

    def test_keys_of_every_kind_are_read(self) -> None:
        """Each with the algorithms that it may be used with."""
        document = jwks(
            jwk(RSA, kid="rsa"),
            jwk(RSA, kid="ps", alg="PS256", use="sig", key_ops=["verify"]),
            jwk(P256, kid="ec"),
            jwk(ed25519.Ed25519PrivateKey.generate(), kid="ed"),
            jwk(ec.generate_private_key(ec.SECP384R1()), kid=..., x5c=["x"]),
        )
        found = [(key.kid, key.algorithms) for key in read_jwks(document).keys]
        assert found == [
            ("rsa", ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
            ("ps", ("PS256",)),
            ("ec", ("ES256",)),
            ("ed", ("EdDSA", "Ed25519")),
            ("", ("ES384",)),
        ]

    @pytest.mark.shows("S69")
    @pytest.mark.parametrize(
        "odd",
        [
            {"kty": "oct", "k": "c2VjcmV0", "kid": "k"},
            jwk(P256, use="enc"),
            jwk(P256, key_ops=["sign"]),
            jwk(P256, key_ops="verify"),
            jwk(P256, alg="ES384"),
            jwk(P256, alg="HS256"),
            jwk(P256, alg=["ES256"]),
            jwk(P256, kid=7),
            ECAlgorithm.to_jwk(P256, as_dict=True),
            RSAAlgorithm.to_jwk(RSA, as_dict=True),
            jwk(P256, d="AQAB"),
            jwk(P256, crv="P-384"),
            jwk(P256, x="AAAA"),
            jwk(P256, x=...),
            jwk(P256, kty="RSA"),
            jwk(P256, kty=...),
            jwk(rsa.generate_private_key(65537, 1024)),  # noqa: S505 - that is the point
            jwk(ec.generate_private_key(ec.SECP256K1())),
            {"kty": "OKP", "crv": "X25519", "x": "hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo"},
            {"kty": ["RSA"]},
            {},
            None,
            "key",
            [],
        ],
    )
    def test_a_key_that_cannot_verify_is_passed_over(self, odd: object) -> None:
        """A shared secret, a private key, one for encryption, one that is too weak, or none at all."""
        assert kids(read_jwks(jwks(odd, jwk(P256, kid="good")))) == ["good"]

    def test_a_document_is_read_no_further_than_it_makes_sense(self) -> None:
        """Nobody has so many keys."""
        document = jwks(*(jwk(P256, kid=str(number)) for number in range(MAX_KEYS + 10)))
        assert len(read_jwks(document).keys) == MAX_KEYS

    @pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"keys":{}}', b'{"keys":[],"keys":[]}', b"\xff"])
    def test_anything_else_is_no_set_of_keys(self, body: bytes) -> None:
        """Then the keys that we have stay."""
        with pytest.raises(GarbageError):
            read_jwks(body)


class TestFile:
    """A document that the operator keeps."""

    def test_its_keys_are_read(self, tmp_path: Path) -> None:
        """Like those of a server."""
        (tmp_path / "jwks").write_bytes(jwks(jwk(P256)))
        assert kids(read_jwks_file(tmp_path / "jwks")) == ["k1"]

    @pytest.mark.parametrize(
        ("content", "words"),
        [(b"{}", "no JWK set"), (b"canary", "no JWK set"), (jwks(), "no key"), (jwks(jwk(P256, use="enc")), "no key")],
    )
    def test_one_without_keys_is_refused(self, content: bytes, words: str, tmp_path: Path) -> None:
        """Nothing of it is repeated."""
        (tmp_path / "jwks").write_bytes(content)
        with pytest.raises(UnusableError, match=words) as refused:
            read_jwks_file(tmp_path / "jwks")
        assert "canary" not in str(refused.value)


def test_candidates_are_of_the_algorithm_and_of_the_name() -> None:
    """A key without a name may be meant by any."""
    keys = read_jwks(jwks(jwk(P256, kid="a"), jwk(P256, kid="b"), jwk(P256, kid=...), jwk(RSA, kid="a")))

    def names(kid: str | None, algorithm: str) -> list[str]:
        return [key.kid for key in keys.candidates(kid, algorithm)]

    assert names("a", "ES256") == ["a", ""]
    assert names("a", "RS256") == ["a"]
    assert names(None, "ES256") == ["a", "b", ""]
    assert names("c", "RS256") == []
