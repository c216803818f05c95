"""Who we are to the authorization server: id and secret are form-encoded before anything else happens (RFC 6749 §2.3.1)."""

from base64 import b64decode
from urllib.parse import parse_qs, unquote

import pytest
from hypothesis import given, strategies as st

from extauthz.resolver.client_auth import authorization_header, form_encode, form_fields
from extauthz.resolver.settings import ClientAuth, ServerSettings

RESERVED = "rs:1 %x", "p@ss:w+rd/%&= e"
UMLAUTS = "clïent", "sécret£€"

characters = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


def settings(client_id: str, client_secret: str, auth: ClientAuth = ClientAuth.BASIC) -> ServerSettings:
    return ServerSettings(
        name="main",
        introspection_endpoint="https://as.example.com/introspect",
        client_id=client_id,
        client_secret=client_secret,
        client_auth=auth,
    )


@pytest.mark.shows("S61")
@pytest.mark.parametrize(
    ("client_id", "secret", "header"),
    [
        ("s6BhdRkqt3", "gX1fBat3bV", "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"),
        (*RESERVED, "Basic cnMlM0ExJTIwJTI1eDpwJTQwc3MlM0F3JTJCcmQlMkYlMjUlMjYlM0QlMjBl"),
        (*UMLAUTS, "Basic Y2wlQzMlQUZlbnQ6cyVDMyVBOWNyZXQlQzIlQTMlRTIlODIlQUM="),
    ],
    ids=["the example of RFC 6749", "reserved characters", "beyond ASCII"],
)
def test_basic_is_the_base64_of_both_parts_form_encoded(client_id: str, secret: str, header: str) -> None:
    """Encoded each, joined by a colon, base64: in this order."""
    assert authorization_header(settings(client_id, secret)) == header


@pytest.mark.shows("S61")
@pytest.mark.parametrize(
    ("client_id", "secret", "fields"),
    [
        ("s6BhdRkqt3", "gX1fBat3bV", "&client_id=s6BhdRkqt3&client_secret=gX1fBat3bV"),
        (*RESERVED, "&client_id=rs%3A1%20%25x&client_secret=p%40ss%3Aw%2Brd%2F%25%26%3D%20e"),
        (*UMLAUTS, "&client_id=cl%C3%AFent&client_secret=s%C3%A9cret%C2%A3%E2%82%AC"),
    ],
)
def test_post_puts_both_into_the_form(client_id: str, secret: str, fields: str) -> None:
    """They follow other fields, so they start with `&`."""
    assert form_fields(settings(client_id, secret, ClientAuth.POST)) == fields


@pytest.mark.shows("S61")
@pytest.mark.parametrize(
    ("auth", "in_header", "in_form"), [(ClientAuth.BASIC, True, False), (ClientAuth.POST, False, True)]
)
def test_the_secret_goes_one_way_only(auth: ClientAuth, in_header: bool, in_form: bool) -> None:
    """A request uses no more than one method of authentication (RFC 6749 §2.3)."""
    chosen = settings("gateway", "s3cret", auth)
    assert (bool(authorization_header(chosen)), bool(form_fields(chosen))) == (in_header, in_form)


@pytest.mark.shows("S61")
def test_a_space_becomes_percent_20() -> None:
    """The characters of RFC 6749 appendix B; a `+` for the space would be read differently by different servers."""
    assert form_encode(" %&+£€") == "%20%25%26%2B%C2%A3%E2%82%AC"


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


@given(client_id=characters, secret=characters)
def test_a_server_can_split_at_the_first_colon(client_id: str, secret: str) -> None:
    """Colons inside id and secret are encoded."""
    header = authorization_header(settings(client_id, secret))
    pair = b64decode(header.removeprefix("Basic "), validate=True).decode("ascii")
    assert [unquote(part) for part in pair.split(":", 1)] == [client_id, secret]
    assert pair.count(":") == 1


def test_the_secret_does_not_print() -> None:
    """Settings stand in tracebacks and logs."""
    assert "s3cret" not in repr(settings("gateway", "s3cret"))
