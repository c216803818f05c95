"""CheckRequest → AuthRequest: which fields name the request, and that nothing else can."""

from collections.abc import Mapping

import pytest
from hypothesis import given, strategies as st

from extauthz._gen.extauthz_envoy_pb2 import (
    Address,
    AttributeContext,
    CheckRequest,
    HeaderMap,
    HeaderValue,
    HttpRequest,
    Peer,
    Request,
    SocketAddress,
)
from extauthz.core.decision import Reason
from extauthz.core.request import AuthRequest
from extauthz.wire.envoy.decode import decode


def message(http: HttpRequest) -> bytes:
    return CheckRequest(attributes=AttributeContext(request=Request(http=http))).SerializeToString()


def with_headers(headers: Mapping[str, str]) -> AuthRequest:
    """As Envoy sends them by default: a map, repeated lines joined."""
    return decode(message(HttpRequest(method="GET", path="/", headers=dict(headers))))


def with_lines(*lines: HeaderValue) -> AuthRequest:
    """As Envoy sends them with `encode_raw_headers`: one entry a line."""
    return decode(message(HttpRequest(method="GET", path="/", header_map=HeaderMap(headers=lines))))


def test_a_whole_request_is_read() -> None:
    """Method, target with its query, host, credentials and the gateway's id."""
    http = HttpRequest(
        id="42",
        method="POST",
        path="/orders/1?x=%2f",
        host="api.example.com:8443",
        headers={"authorization": "Bearer t", "x-request-id": "abc", "accept": "*/*"},
    )
    assert decode(message(http)) == AuthRequest(
        door="envoy",
        method="POST",
        target="/orders/1?x=%2f",
        host="api.example.com:8443",
        authorization=("Bearer t",),
        request_id="abc",
    )


def test_the_address_of_the_client_is_what_envoy_says() -> None:
    """No header can name another one; and it is read only where somebody wants to know."""
    http = HttpRequest(method="GET", path="/", headers={"x-forwarded-for": "192.0.2.1"})
    peer = Peer(address=Address(socket_address=SocketAddress(address="10.0.0.7")))
    attributes = AttributeContext(source=peer, request=Request(http=http))
    sent = CheckRequest(attributes=attributes).SerializeToString()
    assert decode(sent, read_source=True).source == "10.0.0.7"
    assert decode(message(http), read_source=True).source == ""
    assert decode(sent).source == ""


@pytest.mark.shows("E56")
def test_a_request_with_the_bare_minimum_is_read() -> None:
    """Another client of the protocol: raw lines, no id, no host, no scheme."""
    lines = HeaderMap(headers=[HeaderValue(key="authorization", raw_value=b"Bearer t")])
    found = decode(message(HttpRequest(method="POST", path="/pkg.Service/Method", header_map=lines)))
    assert found == AuthRequest(door="envoy", method="POST", target="/pkg.Service/Method", authorization=("Bearer t",))


@pytest.mark.shows("E28", "E29", "E30")
@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("authorization", ("Bearer t",)),
        ("Authorization", ("Bearer t",)),
        ("AUTHORIZATION", ("Bearer t",)),
        ("x-authorization", ()),
        ("authorization2", ()),
        ("proxy-authorization", ()),
    ],
)
def test_names_are_compared_without_case_in_either_form(key: str, found: tuple[str, ...]) -> None:
    """Envoy writes lower case, others may not."""
    assert with_headers({key: "Bearer t"}).authorization == found
    assert with_lines(HeaderValue(key=key, raw_value=b"Bearer t")).authorization == found
    assert with_lines(HeaderValue(key=key, value="Bearer t")).authorization == found


@pytest.mark.shows("E26", "E28")
@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([HeaderValue(key="authorization", raw_value=b"Bearer a")], ("Bearer a",)),
        ([HeaderValue(key="authorization", raw_value=b"Bearer a", value="Bearer b")], ("Bearer a",)),
        ([HeaderValue(key="authorization")], ("",)),
        ([HeaderValue(key="authorization", raw_value=b"Bearer \xff\x00")], ("Bearer \xff\x00",)),
        (
            [
                HeaderValue(key="authorization", raw_value=b"Bearer a"),
                HeaderValue(key="Authorization", value="Bearer b"),
            ],
            ("Bearer a", "Bearer b"),
        ),
    ],
    ids=["raw", "raw before text", "empty", "any byte", "two lines"],
)
def test_every_line_of_credentials_counts(lines: list[HeaderValue], found: tuple[str, ...]) -> None:
    """Two lines are two values: which one was meant is not guessed here."""
    assert with_lines(*lines).authorization == found


def test_credentials_in_both_forms_are_several() -> None:
    """Two readers of the message would see two tokens."""
    lines = HeaderMap(headers=[HeaderValue(key="authorization", raw_value=b"Bearer a")])
    http = HttpRequest(method="GET", path="/", headers={"authorization": "Bearer b"}, header_map=lines)
    assert sorted(decode(message(http)).authorization) == ["Bearer a", "Bearer b"]


@pytest.mark.parametrize(
    ("headers", "request_id"), [({"x-request-id": "abc"}, "abc"), ({"X-Request-ID": "abc"}, "abc"), ({}, "42")]
)
def test_the_id_is_the_one_that_other_logs_have(headers: dict[str, str], request_id: str) -> None:
    """`x-request-id`, and Envoy's own number when there is none."""
    assert decode(message(HttpRequest(id="42", method="GET", path="/", headers=headers))).request_id == request_id


@pytest.mark.shows("E47", "E53")
@pytest.mark.parametrize(
    "name",
    [
        ":path",
        ":method",
        ":authority",
        "host",
        "x-envoy-original-path",
        "x-envoy-original-method",
        "x-forwarded-uri",
        "x-forwarded-host",
        "x-forwarded-method",
        "x-forwarded-proto",
        "x-original-uri",
        "x-original-url",
        "x-original-method",
        "x-original-host",
        "x-rewrite-url",
        "x-http-method-override",
    ],
)
def test_no_header_can_say_what_was_asked(name: str) -> None:
    """A client writes headers as it likes."""
    plain = with_headers({"authorization": "Bearer t"})
    assert with_headers({"authorization": "Bearer t", name: "/admin"}) == plain
    lines = [HeaderValue(key="authorization", value="Bearer t"), HeaderValue(key=name, raw_value=b"DELETE")]
    assert with_lines(*lines) == plain


@pytest.mark.shows("E43", "S60")
@pytest.mark.parametrize(
    ("method", "headers", "announced"),
    [
        ("OPTIONS", {"origin": "https://a", "access-control-request-method": "POST"}, "POST"),
        ("OPTIONS", {"Origin": "https://a", "Access-Control-Request-Method": "PUT"}, "PUT"),
        ("OPTIONS", {"origin": "https://a"}, ""),
        ("OPTIONS", {"access-control-request-method": "POST"}, ""),
        ("GET", {"origin": "https://a", "access-control-request-method": "POST"}, ""),
        ("OPTIONS", {"origin": "https://a", "access-control-request-method": "POST,GET"}, ""),
    ],
)
def test_a_preflight_is_read_from_either_form(method: str, headers: dict[str, str], announced: str) -> None:
    """The method that it announces; nothing where it is none."""
    in_map = HttpRequest(method=method, path="/", headers=headers)
    lines = [HeaderValue(key=name, raw_value=value.encode()) for name, value in headers.items()]
    raw = HttpRequest(method=method, path="/", header_map=HeaderMap(headers=lines))
    twice = HttpRequest(method=method, path="/", header_map=HeaderMap(headers=lines * 2))
    assert [decode(message(http)).preflight for http in (in_map, raw, twice)] == [announced, announced, ""]


@pytest.mark.shows("E32", "N45")
@pytest.mark.parametrize(
    "name", ["cookie", "sec-websocket-protocol", "proxy-authorization", "x-access-token", "x-forwarded-authorization"]
)
def test_no_other_header_is_a_place_for_a_token(name: str) -> None:
    """Neither in place of `Authorization` nor beside it, where it would be a second token."""
    assert with_headers({name: "Bearer t"}).authorization == ()
    lines = [HeaderValue(key=name, raw_value=b"Bearer t"), HeaderValue(key="authorization", raw_value=b"Bearer a")]
    assert with_lines(*lines).authorization == ("Bearer a",)


@pytest.mark.shows("E55")
@pytest.mark.parametrize(
    "data",
    [
        b"",
        CheckRequest().SerializeToString(),
        CheckRequest(attributes=AttributeContext()).SerializeToString(),
        CheckRequest(attributes=AttributeContext(request=Request())).SerializeToString(),
        message(HttpRequest()),
        message(HttpRequest(method="GET")),
        message(HttpRequest(path="/")),
        b"\xff",
        b"\x0a\x05\x22",
        message(HttpRequest(method="GET", path="/xx")).replace(b"/xx", b"/\xc3\x28"),
    ],
    ids=[
        "nothing", "no attributes", "no request", "no http", "empty http", "no path", "no method", "not protobuf",
        "cut short", "not UTF-8",
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_a_flaw(data: bytes) -> None:
    """It is denied as a bad request and never dropped: then the gateway would decide alone."""
    assert decode(data).flaw is Reason.BAD_METADATA


@pytest.mark.shows("E57")
def test_fields_of_a_newer_gateway_are_ignored() -> None:
    """Field 99 of the message and of the request."""
    unknown = b"\x9a\x06\x03new"
    http = HttpRequest.FromString(HttpRequest(method="GET", path="/").SerializeToString() + unknown)
    assert decode(message(http) + unknown) == AuthRequest(door="envoy", method="GET", target="/")


@pytest.mark.shows("E1")
@given(data=st.binary())
def test_no_bytes_make_it_raise(data: bytes) -> None:
    """An exception would be a gRPC error, and that is the gateway's failure mode."""
    found = decode(data)
    assert found.flaw is Reason.BAD_METADATA or (found.method and found.target)


def test_a_request_does_not_print_its_credentials() -> None:
    """It may stand in a traceback."""
    assert "canary" not in repr(with_headers({"authorization": "Bearer canary"}))
