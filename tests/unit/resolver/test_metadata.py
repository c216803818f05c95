"""What a server says about itself is read where the standards put it, and believed only about itself."""

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from extauthz.core.strict_json import GarbageError
from extauthz.resolver.metadata import Expected, Metadata, metadata_urls, read_metadata

ISSUER = "https://as.example.com"
EXPECTED = Expected(issuer=ISSUER, needed=("introspection_endpoint",))
DOCUMENT = {
    "issuer": ISSUER,
    "introspection_endpoint": f"{ISSUER}/introspect",
    "token_endpoint": f"{ISSUER}/token",
    "jwks_uri": f"{ISSUER}/jwks",
    "introspection_endpoint_auth_methods_supported": ["client_secret_post"],
}
pytestmark = pytest.mark.shows("S65")


def read(expected: Expected = EXPECTED, **changes: Any) -> Metadata:  # noqa: ANN401 - any JSON value
    """The document with these changes; `...` leaves a member out."""
    members = {name: value for name, value in (DOCUMENT | changes).items() if value is not ...}
    return read_metadata(json.dumps(members).encode(), expected)


@pytest.mark.parametrize(
    ("issuer", "urls"),
    [
        (
            "https://as.example.com",
            ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"],
        ),
        (
            "https://as.example.com/",
            ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"],
        ),
        (
            "https://as.example.com/t1",
            [
                "/.well-known/oauth-authorization-server/t1",
                "/.well-known/openid-configuration/t1",
                "/t1/.well-known/openid-configuration",
            ],
        ),
        (
            "https://as.example.com/realms/a/",
            [
                "/.well-known/oauth-authorization-server/realms/a",
                "/.well-known/openid-configuration/realms/a",
                "/realms/a/.well-known/openid-configuration",
            ],
        ),
    ],
)
def test_places_are_tried_in_the_order_of_the_standards(issuer: str, urls: list[str]) -> None:
    """OAuth inserted, OpenID inserted, OpenID appended; none twice."""
    assert metadata_urls(issuer) == tuple("https://as.example.com" + url for url in urls)


def test_the_port_stays() -> None:
    """An issuer may have one."""
    assert metadata_urls("http://127.0.0.1:9190")[0] == "http://127.0.0.1:9190/.well-known/oauth-authorization-server"


def test_a_whole_document_gives_all_that_we_need() -> None:
    """And nothing else is looked at."""
    assert read(more=[1]) == Metadata(
        introspection_endpoint=f"{ISSUER}/introspect",
        token_endpoint=f"{ISSUER}/token",
        jwks_uri=f"{ISSUER}/jwks",
        auth_methods=("client_secret_post",),
    )


@pytest.mark.parametrize("issuer", [f"{ISSUER}/", ISSUER.upper(), "https://evil.example.com", None, 7, ...])
def test_another_issuer_is_refused(issuer: object) -> None:
    """Character for character (RFC 8414 §3.3): otherwise one server could speak for another."""
    with pytest.raises(GarbageError, match="another issuer"):
        read(issuer=issuer)


def test_another_issuer_is_named() -> None:
    """A slash too few is easy to overlook; what a stranger wrote is cut, and cannot break the line of a log."""
    with pytest.raises(GarbageError, match=f"'{ISSUER}/': if it is ours, write it so$"):
        read(issuer=f"{ISSUER}/")
    with pytest.raises(GarbageError) as raised:
        read(issuer="\n" * 10_000)
    assert len(str(raised.value)) < 500
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["introspection_endpoint", "token_endpoint", "jwks_uri"])
@pytest.mark.parametrize(
    "url",
    [
        "http://as.example.com/x",
        "ftp://as.example.com/x",
        "/x",
        "",
        "https://",
        "https://as:pw@as.example.com/x",
        "https://as.example.com/x#y",
        "https://as.example.com/a b",
        "https://as.example.com:x/",
        "https://[as/",
        7,
        ["https://as.example.com/x"],
    ],
)
def test_an_endpoint_without_tls_is_refused(name: str, url: object) -> None:
    """Tokens and secrets would cross the network in plain text; a wrong URL would take them anywhere."""
    with pytest.raises(GarbageError, match=f"{name} is no https URL"):
        read(EXPECTED, **{name: url})


@pytest.mark.parametrize(
    ("issuer", "plain_http", "endpoint", "accepted"),
    [
        ("http://127.0.0.1:9190", False, "http://127.0.0.1:9190/x", True),
        ("http://localhost", False, "http://[::1]/x", True),
        ("http://127.0.0.1:9190", False, "http://as.example.com/x", False),
        ("http://as:8080", True, "http://as:8080/x", True),
        (ISSUER, True, "http://as.example.com/x", True),
        (ISSUER, False, "https://127.0.0.1/x", False),
        (ISSUER, True, "http://localhost/x", False),
    ],
)
def test_plain_http_is_for_this_machine(issuer: str, plain_http: bool, endpoint: str, accepted: bool) -> None:
    """Or under an unsafe name; and another machine does not send us to this one."""
    expected = Expected(issuer=issuer, plain_http=plain_http)
    others = {"token_endpoint": ..., "jwks_uri": ...}
    if accepted:
        assert (
            read(expected, issuer=issuer, introspection_endpoint=endpoint, **others).introspection_endpoint == endpoint
        )
    else:
        with pytest.raises(GarbageError, match="no https URL"):
            read(expected, issuer=issuer, introspection_endpoint=endpoint, **others)


@pytest.mark.parametrize("value", [None, ...])
def test_null_is_as_good_as_absent(value: object) -> None:
    """Servers write both."""
    found = read(token_endpoint=value, jwks_uri=value, introspection_endpoint_auth_methods_supported=value)
    assert found == Metadata(introspection_endpoint=f"{ISSUER}/introspect")
    with pytest.raises(GarbageError, match="no introspection_endpoint: write introspection_endpoint"):
        read(introspection_endpoint=value)


def test_what_is_not_needed_may_be_missing() -> None:
    """A server that issues JWTs may have no introspection."""
    assert read(Expected(issuer=ISSUER, needed=("jwks_uri",)), introspection_endpoint=...).jwks_uri


def test_an_old_name_is_named() -> None:
    """RH-SSO before 7.5: the operator is told which key to write."""
    with pytest.raises(GarbageError, match="token_introspection_endpoint, its old name"):
        read(introspection_endpoint=..., token_introspection_endpoint=f"{ISSUER}/introspect")


@pytest.mark.shows("S63")
def test_a_client_with_a_certificate_goes_to_the_endpoints_for_that() -> None:
    """RFC 8705 §5: `mtls_endpoint_aliases` win where they are; others go where they always do."""
    aliases = {"introspection_endpoint": "https://mtls.example.com/introspect"}
    certificate = Expected(issuer=ISSUER, certificate=True)
    found = read(certificate, mtls_endpoint_aliases=aliases)
    assert found.introspection_endpoint == "https://mtls.example.com/introspect"
    assert (found.token_endpoint, found.jwks_uri) == (f"{ISSUER}/token", f"{ISSUER}/jwks")
    assert read(EXPECTED, mtls_endpoint_aliases=aliases).introspection_endpoint == f"{ISSUER}/introspect"
    for none in ({}, {"introspection_endpoint": None}, None, "x"):
        assert read(certificate, mtls_endpoint_aliases=none).introspection_endpoint == f"{ISSUER}/introspect"


def test_methods_of_the_token_endpoint_stand_in_for_those_that_are_not_said() -> None:
    """Many servers treat both alike and say it once."""
    name = "introspection_endpoint_auth_methods_supported"
    others = {"token_endpoint_auth_methods_supported": ["private_key_jwt", 7]}
    assert read(EXPECTED, **others).auth_methods == ("client_secret_post",)
    assert read(EXPECTED, **others, **{name: ...}).auth_methods == ("private_key_jwt",)


def test_what_is_configured_wins() -> None:
    """And the rest comes from the server."""
    ours = Metadata(introspection_endpoint="https://proxy.example.com/introspect")
    assert ours.or_else(read()) == Metadata(
        introspection_endpoint="https://proxy.example.com/introspect",
        token_endpoint=f"{ISSUER}/token",
        jwks_uri=f"{ISSUER}/jwks",
        auth_methods=("client_secret_post",),
    )


@given(body=st.binary(max_size=200))
def test_no_bytes_make_it_fail_otherwise(body: bytes) -> None:
    """Whatever a server sends, it is metadata or garbage."""
    with pytest.raises(GarbageError):
        read_metadata(body, EXPECTED)
