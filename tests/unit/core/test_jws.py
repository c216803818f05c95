"""A JWT is taken apart strictly; what only looks like one is not taken for anything else."""

import json
from base64 import urlsafe_b64encode

import pytest
from hypothesis import given, strategies as st

from extauthz.core.jws import is_jws, parse_jws, unverified_id, unverified_issuer
from extauthz.core.strict_json import GarbageError

ISSUER = "https://as.example.com"


def encode(part: object) -> str:
    """A part of a JWT, from an object or from bytes."""
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def made(header: object, claims: object, signature: bytes = b"sig") -> str:
    return f"{encode(header)}.{encode(claims)}.{encode(signature)}"


GOOD = made({"alg": "ES256"}, {"iss": ISSUER})


def test_a_jwt_has_a_header_claims_and_a_signature() -> None:
    """And what the signature is about."""
    jws = parse_jws(GOOD)
    assert (jws.header, jws.claims, jws.signature) == ({"alg": "ES256"}, {"iss": ISSUER}, b"sig")
    assert jws.signed == GOOD.rpartition(".")[0].encode()
    assert ISSUER not in repr(jws)


@pytest.mark.parametrize(
    "token",
    [
        GOOD,
        GOOD + "==",
        GOOD.replace(".", "=.", 1),
        made(b' {"alg":"x"}', {}),
        made(b'{"alg":1,"alg":2}', {}),
        made(b"{", b"}"),
        f"{encode({})}..",
        GOOD.rpartition(".")[0] + ".",
    ],
)
def test_what_looks_like_a_jwt_is_one(token: str) -> None:
    """Also when it is broken: then it is a broken JWT, and no opaque token."""
    assert is_jws(token)


@pytest.mark.parametrize(
    "token",
    [
        "mF_9.B5f-4.1JqM",
        "opaque",
        "a.b",
        "..",
        ".e30.",
        GOOD + ".x",
        GOOD + ".x.y",
        made(b"[]", {}),
        made(b"\xff\xff", {}),
        "ory_at_dGVzdA.c2ln",
        "e30~.e30.",
    ],
)
def test_anything_else_is_opaque(token: str) -> None:
    """An encrypted one, of five parts, too."""
    assert not is_jws(token)
    assert unverified_issuer(token) is None


@pytest.mark.shows("S72")
@pytest.mark.parametrize(
    "token",
    [
        GOOD + "==",
        GOOD.replace(".", "=.", 1),
        GOOD[:-1] + "+",
        GOOD[:-1] + "/",
        GOOD + "A",
        f"{encode({})}.{encode({})}.QQ".replace("QQ", "QR"),
        made(b'{"alg":"ES256","alg":"none"}', {}),
        made({"alg": "ES256"}, b'{"sub":"a","sub":"b"}'),
        made({"alg": "ES256"}, b'{"x":{"sub":"a","sub":"b"}}'),
        made({"alg": "ES256"}, b'{"exp":NaN}'),
        made({"alg": "ES256"}, b'{"exp":1e999}'),
        made({"alg": "ES256"}, b"[]"),
        made({"alg": "ES256"}, b'"x"'),
        made({"alg": "ES256"}, b"{} "[:1]),
        made({"alg": "ES256"}, b"\xff"),
        made({"alg": "ES256"}, b"[" * 100_000),
        "a.b",
    ],
)
def test_a_broken_jwt_is_refused(token: str) -> None:
    """Padding, another alphabet, bits to spare, a member twice: two readers could see two tokens."""
    with pytest.raises(GarbageError):
        parse_jws(token)


@pytest.mark.parametrize(
    ("claims", "issuer"),
    [
        ({"iss": ISSUER}, ISSUER),
        ({}, None),
        ({"iss": 7}, None),
        ({"iss": [ISSUER]}, None),
        (b'{"iss":"a","iss":"b"}', None),
    ],
)
def test_the_claimed_issuer_is_a_text_or_nothing(claims: object, issuer: str | None) -> None:
    """It is hearsay: for the choice of a server alone."""
    assert unverified_issuer(made({"alg": "none"}, claims)) == issuer


@pytest.mark.parametrize(
    ("claims", "jti"),
    [({"jti": "a1"}, "a1"), ({}, None), ({"jti": 7}, None), (b'{"jti":"\\ud800"}', None), ({"jti": "a\n"}, None)],
)
def test_the_claimed_id_is_a_text_or_nothing(claims: object, jti: str | None) -> None:
    """One that nobody can write down is none: a notice of revocation is made of it."""
    assert unverified_id(made({"alg": "none"}, claims)) == jti


@given(text=st.text(st.sampled_from("abcdefzABCZ0129._-+/=e30~")))
def test_no_text_makes_it_fail_otherwise(text: str) -> None:
    """Whatever a client sends."""
    is_jws(text)
    unverified_issuer(text)
    with pytest.raises(GarbageError):
        parse_jws(text + ".x")
