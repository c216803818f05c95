"""ingress-nginx names scheme, host and target in one header; it decides as the separate ones do, or not at all."""

import pytest

from extauthz.core.decision import Reason
from extauthz.wire.http.nginx import decode
from support.header_lines import lines

INGRESS = {
    "host": "extauthz.auth.svc",
    "authorization": "Bearer t",
    "x-request-id": "r1",
    "x-original-method": "GET",
    "x-original-url": "https://api.example.com/orders/1?x=1",
    "x-auth-request-redirect": "/orders/1?x=1",
    "x-sent-from": "nginx-ingress-controller",
    "x-real-ip": "10.0.0.7",
    "x-forwarded-for": "10.0.0.7",
    "user-agent": "curl/8",
}
SEPARATE = {
    "authorization": "Bearer t",
    "x-request-id": "r1",
    "x-original-method": "GET",
    "x-original-uri": "/orders/1?x=1",
    "x-original-host": "api.example.com",
    "x-original-remote-addr": "10.0.0.7",
}


@pytest.mark.shows("N22")
def test_the_url_asks_what_the_separate_headers_ask() -> None:
    """The decision cannot depend on how NGINX was set up."""
    assert decode(lines(INGRESS)) == decode(lines(SEPARATE))


def test_a_client_cannot_name_another_address() -> None:
    """ingress-nginx lets its `X-Original-Remote-Addr` through, and writes `X-Real-IP` itself."""
    assert decode(lines({**INGRESS, "x-original-remote-addr": "192.0.2.1"})).source == "10.0.0.7"


@pytest.mark.parametrize(
    ("url", "host", "target"),
    [
        ("http://h/", "h", "/"),
        ("https://h:8443/a?b=http://i/c", "h:8443", "/a?b=http://i/c"),
        ("ws://h/a", "h", "/a"),
        ("wss://H.Example/a", "H.Example", "/a"),
        ("http://[::1]:80/a", "[::1]:80", "/a"),
        ("http://h//i/j", "h", "//i/j"),
        ("http://h/a%2Fb/../c;d", "h", "/a%2Fb/../c;d"),
        ("http://h/a#b", "h", "/a#b"),
        ("http://h/\xe9", "h", "/\xe9"),
    ],
)
def test_host_and_target_are_cut_out_as_they_stand(url: str, host: str, target: str) -> None:
    """No library that repairs URLs has a say; what is odd in the path is for the judge."""
    request = decode(lines({**INGRESS, "x-original-url": url}))
    assert (request.host, request.target, request.flaw) == (host, target, None)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/orders/1",
        "//h/orders/1",
        "h/orders/1",
        "ftp://h/a",
        "HTTP://h/a",
        "javascript://h/a",
        "http:/h/a",
        "http://",
        "http:///a",
        "http://h",
        "http://h?x=/a",
        "http://h#/a",
        "http://h\\/a",
        "http://u@h/a",
        " http://h/a",
    ],
)
def test_what_is_no_url_with_host_and_path_is_refused(url: str) -> None:
    """A host that ends anywhere but at a slash belongs to somebody who wants to choose it."""
    request = decode(lines({**INGRESS, "x-original-url": url}))
    assert (request.flaw, request.target) == (Reason.BAD_METADATA, "")


@pytest.mark.shows("N23")
def test_a_uri_beside_the_url_must_be_its_path_and_query() -> None:
    """Without `auth-method`, ingress-nginx passes on the `X-Original-URI` that the client wrote."""
    assert decode(lines({**INGRESS, "x-original-uri": "/orders/1?x=1"})).flaw is None
    for uri in ("/orders/1", "/orders/1?x=2", "/healthz", "", "https://api.example.com/orders/1?x=1"):
        assert decode(lines({**INGRESS, "x-original-uri": uri})).flaw is Reason.BAD_METADATA, uri


@pytest.mark.parametrize("host", ["api.example.com", "API.example.com.", "api.example.com:443"])
def test_a_host_beside_the_url_may_spell_the_same_host_otherwise(host: str) -> None:
    """`$host` and `$http_host` differ in case and port."""
    request = decode(lines({**INGRESS, "x-original-host": host}))
    assert (request.flaw, request.host) == (None, "api.example.com")


@pytest.mark.shows("N23")
@pytest.mark.parametrize("host", ["other.example.com", "example.com", "api.example.com,other.example.com"])
def test_another_host_beside_the_url_is_refused(host: str) -> None:
    """ingress-nginx passes on the `X-Original-Host` that the client wrote: rules for a host are not the client's to choose."""
    assert decode(lines({**INGRESS, "x-original-host": host})).flaw is Reason.BAD_METADATA


def test_without_a_method_the_gateway_is_misconfigured() -> None:
    """The URL alone is half a question."""
    headers = {name: value for name, value in INGRESS.items() if name != "x-original-method"}
    assert decode(lines(headers)).flaw is Reason.MISCONFIGURED_GATEWAY
