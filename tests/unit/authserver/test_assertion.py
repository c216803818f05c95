"""private_key_jwt: what an assertion must be."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from extauthz.authserver.assertion import Assertion, check_keys, claimed_client, prove

ISSUER = "https://as.example.com"
NOW = 1_700_000_000
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)
ED_KEY = ed25519.Ed25519PrivateKey.generate()
EC_JWK = ECAlgorithm.to_jwk(EC_KEY.public_key(), as_dict=True)
RSA_JWK = RSAAlgorithm.to_jwk(RSA_KEY.public_key(), as_dict=True)
ED_JWK = OKPAlgorithm.to_jwk(ED_KEY.public_key(), as_dict=True)
STRANGER = ec.generate_private_key(ec.SECP256R1())
CLAIMS: dict[str, Any] = {"iss": "rs", "sub": "rs", "aud": ISSUER, "exp": NOW + 60, "jti": "j1"}


def keys(*jwks: dict[str, Any]) -> str:
    return json.dumps({"keys": jwks})


KEYS = keys({**EC_JWK, "kid": "k1"}, RSA_JWK, ED_JWK)


def signed(
    key: Any = EC_KEY,  # noqa: ANN401 - any kind of key
    algorithm: str = "ES256",
    header: dict[str, Any] | None = None,
    **changes: Any,  # noqa: ANN401 - any claim
) -> str:
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    return jwt.encode(claims, key, algorithm, header)


def proved(text: str, registered: str = KEYS) -> Assertion | None:
    return prove(text, registered, client_id="rs", issuer=ISSUER, now=NOW)


@pytest.mark.shows("S95")
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(signed(), id="6.2-1 the issuer"),
        pytest.param(signed(aud=[ISSUER]), id="6.2-1 a list of the issuer alone"),
        pytest.param(signed(header={"kid": "k1"}), id="a key by name"),
        pytest.param(signed(header={"typ": "client-authentication+jwt"}), id="typed"),
        pytest.param(signed(RSA_KEY, "RS256"), id="RS256"),
        pytest.param(signed(RSA_KEY, "PS256"), id="PS256"),
        pytest.param(signed(ED_KEY, "EdDSA"), id="EdDSA"),
        pytest.param(signed(exp=NOW + 300), id="five minutes ahead"),
        pytest.param(signed(nbf=NOW), id="good from now"),
    ],
)
def test_a_good_assertion_proves_the_client(text: str) -> None:
    """Signed by a registered key, for this issuer, for a short while."""
    found = proved(text)
    assert found is not None
    assert (found.client_id, found.jti) == ("rs", "j1")
    assert claimed_client(text) == "rs"


@pytest.mark.shows("S95")
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(signed(aud=[ISSUER, "https://evil"]), id="6.2-2 two audiences"),
        pytest.param(signed(aud=ISSUER + "/oauth2/introspect"), id="6.2-3 an endpoint"),
        pytest.param(signed(aud=ISSUER + "/"), id="6.2-4 a slash"),
        pytest.param(signed(aud=None), id="no audience"),
        pytest.param(signed(iss="other"), id="6.2-5 issued by another"),
        pytest.param(signed(iss="other", sub="other"), id="6.2-5 another client"),
        pytest.param(signed("s" * 32, "HS256"), id="6.2-7 HS256"),
        pytest.param(jwt.encode(CLAIMS, "", "none"), id="6.2-7 none"),
        pytest.param(signed(exp=NOW + 301), id="6.2-8 too far ahead"),
        pytest.param(signed(exp=None), id="6.2-8 no end"),
        pytest.param(signed(exp=NOW), id="over now"),
        pytest.param(signed(exp=True), id="no time"),
        pytest.param(signed(exp=float("nan")), id="not a number"),
        pytest.param(signed(nbf=NOW + 1), id="not yet good"),
        pytest.param(signed(jti=None), id="no jti"),
        pytest.param(signed(jti=""), id="an empty jti"),
        pytest.param(signed(jti="\0"), id="a jti that no database keeps"),
        pytest.param(signed(jti="x" * 257), id="a long jti"),
        pytest.param(signed(STRANGER), id="another key"),
        pytest.param(signed(STRANGER, header={"kid": "k1"}), id="another key under the name"),
        pytest.param(signed(header={"kid": "other"}), id="a key that is not registered"),
        pytest.param(signed(header={"typ": "at+jwt"}), id="an access token"),
        pytest.param(signed(header={"typ": "dpop+jwt"}), id="a DPoP proof"),
        pytest.param(signed(ec.generate_private_key(ec.SECP384R1()), "ES384"), id="another algorithm"),
        pytest.param(signed()[:-4], id="a signature cut short"),
        pytest.param("a.b.c", id="no JWT"),
        pytest.param("", id="nothing"),
        pytest.param("é.é.é", id="not ASCII"),
    ],
)
def test_any_other_assertion_proves_nothing(text: str) -> None:
    """Every vector of 6.2 and every malformed text is refused, without a crash."""
    assert proved(text) is None


def test_a_key_is_for_the_algorithm_it_declares() -> None:
    """RSA key registered for PS256 does not accept RS256 (RFC 8725 §3.1)."""
    registered = keys({**RSA_JWK, "alg": "PS256"})
    assert proved(signed(RSA_KEY, "PS256"), registered) is not None
    assert proved(signed(RSA_KEY, "RS256"), registered) is None


@pytest.mark.parametrize("registered", ["", keys(RSA_JWK), keys({**EC_JWK, "kid": "other"})])
def test_without_a_fitting_key_a_signature_is_checked_all_the_same(
    registered: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time taken does not tell whether the client exists."""
    checks = 0
    decode = jwt.decode

    def counting(*words: Any, **options: Any) -> Any:  # noqa: ANN401 - as PyJWT has it
        nonlocal checks
        checks += 1
        return decode(*words, **options)

    text = signed(header={"kid": "k1"})
    monkeypatch.setattr(jwt, "decode", counting)
    assert proved(text, registered) is None
    assert checks == 1


def test_nobodys_key_proves_nobody() -> None:
    """The key that is checked for strangers is well known, and proves nothing."""
    well_known = ec.derive_private_key(1, ec.SECP256R1())
    assert proved(signed(well_known), "") is None


def test_a_key_that_cannot_be_read_does_not_spoil_the_others() -> None:
    """A client that publishes a key of a new kind goes on with the old one."""
    assert proved(signed(), keys({"kty": "new"}, {**EC_JWK, "kid": "k1"})) is not None


@pytest.mark.parametrize(
    ("registered", "message"),
    [
        ("", "JWK Set"),
        ("[]", "JWK Set"),
        ("{}", "JWK Set"),
        (keys(), "public keys"),
        (keys({"kty": "new"}), "public keys"),
        (keys({"kty": "oct", "k": "c2VjcmV0"}), "private or symmetric"),
        (keys({**EC_JWK, "d": "c2VjcmV0"}), "private or symmetric"),
    ],
)
def test_keys_are_checked_when_they_are_registered(registered: str, message: str) -> None:
    """Only public keys of a usable kind are registered, and the message says what to give instead."""
    check_keys(KEYS)
    with pytest.raises(ValueError, match=message):
        check_keys(registered)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.b.c",
        signed(sub=None, iss="rs"),
        signed(sub=""),
        pytest.param(signed(sub="rs\ud800"), id="half a surrogate pair"),
    ],
)
def test_an_assertion_without_a_subject_names_nobody(text: str) -> None:
    """What cannot be read names no client."""
    assert claimed_client(text) is None
