"""Who we are to the authorization server: one method for each request, and nothing that prints."""

import hashlib
import hmac
import itertools
import json
from base64 import b64decode, urlsafe_b64decode
from typing import Any
from urllib.parse import parse_qs, unquote

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, strategies as st

from extauthz.core.introspection import Unavailable
from extauthz.resolver.client_auth import (
    AssertionAuth,
    CertificateAuth,
    ClientAuthenticator,
    Credentials,
    NoCredentials,
    SecretAuth,
    basic_header,
    form_encode,
    post_fields,
)
from extauthz.resolver.metadata import Metadata
from extauthz.resolver.settings import AssertionSettings, ClientAuth
from extauthz.resolver.watched_file import Fixed
from extauthz.signatures import PrivateKey
from extauthz.testing import TickingClock

ISSUER = "https://as.example.com"
RESERVED = "rs:1 %x", "p@ss:w+rd/%&= e"
UMLAUTS = "clïent", "sécret£€"
SECRET = "0123456789abcdef0123456789abcdef"
NOW = 1_700_000_000.7

characters = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


async def credentials(authenticator: ClientAuthenticator, *offered: str) -> Credentials:
    """What it sends to a server that offers these methods."""
    given_ = await authenticator.credentials(Metadata(auth_methods=offered))
    assert not isinstance(given_, Unavailable)
    return given_


@pytest.mark.shows("S61")
class TestSecret:
    """Id and secret are form-encoded before anything else happens (RFC 6749 §2.3.1)."""

    @pytest.mark.parametrize(
        ("client_id", "secret", "header"),
        [
            ("s6BhdRkqt3", "gX1fBat3bV", "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"),
            (*RESERVED, "Basic cnMlM0ExJTIwJTI1eDpwJTQwc3MlM0F3JTJCcmQlMkYlMjUlMjYlM0QlMjBl"),
            (*UMLAUTS, "Basic Y2wlQzMlQUZlbnQ6cyVDMyVBOWNyZXQlQzIlQTMlRTIlODIlQUM="),
        ],
        ids=["the example of RFC 6749", "reserved characters", "beyond ASCII"],
    )
    def test_basic_is_the_base64_of_both_parts_form_encoded(self, client_id: str, secret: str, header: str) -> None:
        """Encoded each, joined by a colon, base64: in this order."""
        assert basic_header(client_id, secret) == header

    def test_a_server_that_does_not_undo_the_encoding_gets_both_as_they_are(self) -> None:
        """By option alone."""
        header = basic_header("rs:1", "p@ss w+rd", raw=True)
        assert b64decode(header.removeprefix("Basic ")) == b"rs:1:p@ss w+rd"

    @pytest.mark.parametrize(
        ("client_id", "secret", "fields"),
        [
            ("s6BhdRkqt3", "gX1fBat3bV", "&client_id=s6BhdRkqt3&client_secret=gX1fBat3bV"),
            (*RESERVED, "&client_id=rs%3A1%20%25x&client_secret=p%40ss%3Aw%2Brd%2F%25%26%3D%20e"),
            (*UMLAUTS, "&client_id=cl%C3%AFent&client_secret=s%C3%A9cret%C2%A3%E2%82%AC"),
        ],
    )
    def test_post_puts_both_into_the_form(self, client_id: str, secret: str, fields: str) -> None:
        """They follow other fields, so they start with `&`."""
        assert post_fields(client_id, secret) == fields

    @pytest.mark.parametrize(
        ("method", "offered", "in_header"),
        [
            (ClientAuth.BASIC, (), True),
            (ClientAuth.POST, (), False),
            (None, (), True),
            (None, ("client_secret_post",), False),
            (None, ("client_secret_post", "client_secret_basic"), True),
            (None, ("private_key_jwt",), True),
            (ClientAuth.BASIC, ("client_secret_post",), True),
            (ClientAuth.POST, ("client_secret_basic",), False),
        ],
    )
    async def test_the_secret_goes_one_way_only(
        self, method: ClientAuth | None, offered: tuple[str, ...], in_header: bool
    ) -> None:
        """Never two methods in one request; ours wins over what the server offers."""
        sent = await credentials(SecretAuth("gateway", Fixed("s3cret"), method=method), *offered)
        assert (bool(sent.authorization), bool(sent.form)) == (in_header, not in_header)

    def test_a_space_becomes_percent_20(self) -> None:
        """The characters of RFC 6749 appendix B; a `+` for the space would be read differently by different servers."""
        assert form_encode(" %&+£€") == "%20%25%26%2B%C2%A3%E2%82%AC"

    @given(client_id=characters, secret=characters)
    def test_a_server_can_split_at_the_first_colon(self, client_id: str, secret: str) -> None:
        """Colons inside id and secret are encoded."""
        header = basic_header(client_id, secret)
        pair = b64decode(header.removeprefix("Basic "), validate=True).decode("ascii")
        assert [unquote(part) for part in pair.split(":", 1)] == [client_id, secret]
        assert pair.count(":") == 1


@pytest.mark.shows("S14", "N43")
@pytest.mark.parametrize(
    ("token", "encoded"),
    [
        ("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU", "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"),
        ("a+b/c==", "a%2Bb%2Fc%3D%3D"),
    ],
)
def test_a_token_reaches_the_server_as_it_was(token: str, encoded: str) -> None:
    """A raw `+` would arrive there as a space."""
    assert form_encode(token) == encoded


@given(text=characters)
def test_form_encoding_can_be_read_back_in_both_ways(text: str) -> None:
    """Whether a server reads `+` as a space or leaves it makes no difference."""
    encoded = form_encode(text)
    assert unquote(encoded, errors="strict") == text
    assert parse_qs(f"a={encoded}", keep_blank_values=True) == {"a": [text]}


class TestAssertion:
    """A JWT for one use, addressed to the issuer alone (RFC 7523 and its update)."""

    @staticmethod
    async def made(key: str | PrivateKey, **changed: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]:  # noqa: ANN401 - settings differ in type
        """Form, header and claims of an assertion, and the assertion."""
        ids = map("id-{}".format, itertools.count(1))
        settings = AssertionSettings(**({"audience": ISSUER} | changed))
        client = AssertionAuth("rs 1", Fixed(key), settings, wall=TickingClock(NOW), unique=ids.__next__)
        sent = await credentials(client)
        assert sent.authorization == ""
        form = {name: one for name, (one,) in parse_qs(sent.form[1:]).items()}
        head, claims, _ = (urlsafe_b64decode(part + "==") for part in form["client_assertion"].split("."))
        return form, json.loads(head), json.loads(claims), form["client_assertion"]

    @pytest.mark.shows("S62")
    async def test_it_is_the_one_of_the_standard(self) -> None:
        """`aud` is one text and no list, `exp` is a minute away, and nothing else stands in the form."""
        form, header, claims, _ = await self.made(ec.generate_private_key(ec.SECP256R1()))
        assert set(form) == {"client_id", "client_assertion_type", "client_assertion"}
        assert form["client_id"] == "rs 1"
        assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        assert header == {"typ": "client-authentication+jwt", "alg": "ES256"}
        assert claims == {
            "iss": "rs 1",
            "sub": "rs 1",
            "aud": ISSUER,
            "jti": "id-1",
            "iat": 1_700_000_000,
            "exp": 1_700_000_060,
        }

    @pytest.mark.shows("S62")
    async def test_each_is_used_once(self) -> None:
        """Servers refuse an id that they have seen."""
        ids = map("id-{}".format, itertools.count(1))
        client = AssertionAuth(
            "rs", Fixed(SECRET), AssertionSettings(audience=ISSUER), wall=TickingClock(NOW), unique=ids.__next__
        )
        assert (await credentials(client)).form != (await credentials(client)).form

    @pytest.mark.parametrize(
        ("key", "algorithm"),
        [
            (rsa.generate_private_key(65537, 2048), "RS256"),
            (ec.generate_private_key(ec.SECP384R1()), "ES384"),
            (ec.generate_private_key(ec.SECP521R1()), "ES512"),
            (ed25519.Ed25519PrivateKey.generate(), "EdDSA"),
        ],
        ids=["RSA", "P-384", "P-521", "Ed25519"],
    )
    async def test_the_algorithm_fits_the_key(self, key: PrivateKey, algorithm: str) -> None:
        """And the signature is good."""
        _, header, _, assertion = await self.made(key)
        assert header["alg"] == algorithm
        options: Any = {"verify_exp": False, "verify_iat": False}
        assert jwt.decode(assertion, key.public_key(), [algorithm], options, audience=ISSUER)["iss"] == "rs 1"

    async def test_an_older_server_can_be_served(self) -> None:
        """Another audience, algorithm, type and the id of the key, each by its own option."""
        _, header, claims, _ = await self.made(
            rsa.generate_private_key(65537, 2048),
            audience=f"{ISSUER}/introspect",
            algorithm="PS256",
            key_id="k1",
            kind="JWT",
        )
        assert header == {"typ": "JWT", "kid": "k1", "alg": "PS256"}
        assert claims["aud"] == f"{ISSUER}/introspect"

    async def test_a_shared_secret_signs_too(self) -> None:
        """With HMAC, and never goes over the wire."""
        _, header, _, assertion = await self.made(SECRET)
        text, _, signature = assertion.rpartition(".")
        assert header["alg"] == "HS256"
        assert urlsafe_b64decode(signature + "==") == hmac.digest(SECRET.encode(), text.encode(), hashlib.sha256)
        assert SECRET not in assertion


@pytest.mark.shows("S63")
async def test_a_certificate_goes_with_the_id_of_the_client() -> None:
    """RFC 8705 §2: the parameter must be sent."""
    assert await credentials(CertificateAuth("rs 1")) == Credentials(form="&client_id=rs%201")


async def test_nothing_is_sent_where_nothing_is_asked_for() -> None:
    """By explicit configuration alone."""
    assert await credentials(NoCredentials()) == Credentials()


class Changing(Fixed[str]):
    """A secret that has just been changed."""

    def look(self) -> bool:
        """It has."""
        return True


def test_whoever_is_refused_looks_whether_the_secret_has_changed() -> None:
    """Otherwise there is nothing else to send."""
    settings = AssertionSettings(audience=ISSUER)
    for secret, renewed in ((Fixed("s"), False), (Changing("s"), True)):
        assert SecretAuth("rs", secret).renew() is renewed
        assert AssertionAuth("rs", secret, settings, wall=TickingClock(), unique=str).renew() is renewed
    assert not NoCredentials().renew()
    assert not CertificateAuth("rs").renew()


async def test_credentials_do_not_print() -> None:
    """Values stand in tracebacks and logs."""
    for method in (ClientAuth.BASIC, ClientAuth.POST):
        sent = await credentials(SecretAuth("gateway", Fixed("s3cret"), method=method))
        assert "s3cret" not in repr(sent)
        assert "gateway" not in repr(sent)
