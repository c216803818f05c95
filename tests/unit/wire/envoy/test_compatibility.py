"""Our messages are Envoy's on the wire: the same bytes, read with the classes made from Envoy's own files."""

import warnings
from typing import Any

import pytest

from extauthz._gen import extauthz_envoy_pb2 as ours
from extauthz.core.challenge import challenge
from extauthz.core.decision import OUTCOMES, Allow, Deny, Reason, deny
from extauthz.core.request import AuthRequest
from extauthz.wire.envoy.decode import decode
from extauthz.wire.envoy.encode import encode

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the package makes classes in a way that pydantic is about to drop
    from envoy_data_plane.envoy.config.core import v3 as core
    from envoy_data_plane.envoy.service.auth import v3 as auth
    from envoy_data_plane.envoy.type import v3 as http_type
    from envoy_data_plane.google import rpc

# Deprecated, and the only one of the two fields that Envoy's own filter looks at.
pytestmark = pytest.mark.filterwarnings("ignore:HeaderValueOption.append is deprecated:DeprecationWarning")

REPLACES = core.HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
ALLOW = Allow(
    reason=Reason.ALLOWED, rule="orders", identity=(("x-auth-sub", "u1"), ("x-auth-scope", "a b")), absent=("x-tenant",)
)
DENIALS = [deny(reason, rule="orders", challenge=challenge(reason, "api", ("orders:read",))) for reason in OUTCOMES]


def their_request() -> auth.CheckRequest:
    """Everything that Envoy may say about a request, much of which we do not read."""
    http = auth.AttributeContextHttpRequest(
        id="42",
        method="GET",
        headers={"authorization": "Bearer t", "accept": "*/*"},
        path="/orders/1?x=1",
        host="api.example.com",
        scheme="https",
        query="never read",
        fragment="never read",
        size=-1,
        protocol="HTTP/2",
        body="body",
        raw_body=b"body",
        header_map=core.HeaderMap(
            headers=[
                core.HeaderValue(key="x-request-id", raw_value=b"abc"),
                core.HeaderValue(key="accept", value="*/*"),
            ]
        ),
    )
    return auth.CheckRequest(
        attributes=auth.AttributeContext(
            source=auth.AttributeContextPeer(
                service="client",
                principal="spiffe://client",
                address=core.Address(socket_address=core.SocketAddress(address="10.0.0.7", port_value=40000)),
            ),
            destination=auth.AttributeContextPeer(service="upstream"),
            request=auth.AttributeContextRequest(http=http),
            context_extensions={"required_scope": "none"},
            metadata_context=core.Metadata(),
            tls_session=auth.AttributeContextTlsSession(sni="api.example.com"),
        )
    )


def our_request() -> ours.CheckRequest:
    """What we read of it."""
    http = ours.HttpRequest(
        id="42",
        method="GET",
        headers={"authorization": "Bearer t", "accept": "*/*"},
        path="/orders/1?x=1",
        host="api.example.com",
        header_map=ours.HeaderMap(
            headers=[
                ours.HeaderValue(key="x-request-id", raw_value=b"abc"),
                ours.HeaderValue(key="accept", value="*/*"),
            ]
        ),
    )
    peer = ours.Peer(address=ours.Address(socket_address=ours.SocketAddress(address="10.0.0.7")))
    return ours.CheckRequest(attributes=ours.AttributeContext(source=peer, request=ours.Request(http=http)))


class TestRequest:
    """CheckRequest, from Envoy to us and back."""

    def test_we_read_what_envoy_says(self) -> None:
        """All fields that we name, from among all that there are."""
        read = ours.CheckRequest.FromString(bytes(their_request()))
        read.attributes.request.http.DiscardUnknownFields()
        assert read.attributes.request.http == our_request().attributes.request.http

    @pytest.mark.shows("S9", "E46", "E54", "E57", "E58")
    def test_the_door_reads_it_too(self) -> None:
        """As the authorizer sees it."""
        assert decode(bytes(their_request()), read_source=True) == AuthRequest(
            door="envoy",
            method="GET",
            target="/orders/1?x=1",
            host="api.example.com",
            authorization=("Bearer t",),
            request_id="abc",
            source="10.0.0.7",
        )

    @pytest.mark.shows("E41")
    @pytest.mark.parametrize(
        ("namespace", "said", "added", "flaw"),
        [
            ("extauthz", {"required_scope": "a b"}, ("none", "a", "b"), None),
            ("extauthz", {"required_scope": "none"}, ("none",), None),
            ("extauthz", {"other": "a"}, ("none",), None),
            ("other", {"required_scope": "a"}, ("none",), None),
            ("extauthz", {"required_scope": "a  b"}, (), Reason.MISCONFIGURED_GATEWAY),
            ("extauthz", {"required_scope": ["a"]}, (), Reason.MISCONFIGURED_GATEWAY),
            ("extauthz", {"required_scope": "a" * 1024}, (), Reason.MISCONFIGURED_GATEWAY),
        ],
    )
    def test_metadata_of_the_route_adds_scopes_where_it_may(
        self, namespace: str, said: dict[str, Any], added: tuple[str, ...], flaw: Reason | None
    ) -> None:
        """To those of `context_extensions`; where it is not switched on, neither is read."""
        asked = ours.CheckRequest.FromString(bytes(their_request()))
        asked.attributes.route_metadata_context.filter_metadata[namespace].update(said)
        theirs = bytes(auth.CheckRequest.parse(asked.SerializeToString()))
        read = decode(theirs, read_extensions=True)
        assert (read.added_scopes, read.flaw) == (added, flaw)
        off = decode(theirs)
        assert (off.added_scopes, off.flaw) == ((), None)

    @pytest.mark.shows("S8", "S9", "E31", "E58")
    @pytest.mark.parametrize("partial", ["", "true", "false"])
    def test_a_body_is_no_place_for_a_token(self, partial: str) -> None:
        """Whole or cut short, as text or as bytes: Envoy sends it where it is told to, and we do not look."""
        asked = their_request()
        assert asked.attributes is not None
        assert asked.attributes.request is not None
        http = asked.attributes.request.http
        assert http is not None
        http.body, http.raw_body = "access_token=t", b"access_token=t"
        http.headers = {
            "content-type": "application/x-www-form-urlencoded",
            **({"x-envoy-auth-partial-body": partial} if partial else {}),
        }
        http.method = "POST"
        read = decode(bytes(asked))
        assert (read.method, read.authorization, read.flaw) == ("POST", (), None)

    def test_envoy_reads_what_we_say(self) -> None:
        """Field for field, with nothing left over that it does not know."""
        read = auth.CheckRequest.parse(our_request().SerializeToString())
        assert read.attributes is not None
        assert read.attributes.request is not None
        theirs, known = read.attributes.request.http, our_request().attributes.request.http
        assert theirs is not None
        assert theirs.header_map is not None
        assert (theirs.id, theirs.method, theirs.path, theirs.host) == (known.id, known.method, known.path, known.host)
        assert theirs.headers == dict(known.headers)
        assert [(line.key, line.value, line.raw_value) for line in theirs.header_map.headers] == [
            (line.key, line.value, line.raw_value) for line in known.header_map.headers
        ]
        assert ours.CheckRequest.FromString(bytes(read)) == our_request()


def option(name: str, value: str) -> core.HeaderValueOption:
    header = core.HeaderValue(key=name, value=value)
    return core.HeaderValueOption(header=header, append=False, append_action=REPLACES)


class TestResponse:
    """CheckResponse, from us to Envoy and back."""

    @pytest.mark.shows("E3", "E11")
    def test_envoy_reads_our_allow(self) -> None:
        """An explicit zero, our headers, and the names to remove."""
        read = auth.CheckResponse.parse(encode(ALLOW))
        assert read.status == rpc.Status(code=0)
        assert read.ok_response is not None
        assert (read.denied_response, read.error_response, read.dynamic_metadata) == (None, None, None)
        assert read.ok_response.headers == [option("x-auth-sub", "u1"), option("x-auth-scope", "a b")]
        assert {"x-tenant", "x_auth_sub", "x-envoy-auth-failure-mode-allowed"} <= set(
            read.ok_response.headers_to_remove
        )
        assert not read.ok_response.query_parameters_to_set
        assert not read.ok_response.query_parameters_to_remove
        assert not read.ok_response.response_headers_to_add
        assert read.ok_response.dynamic_metadata is None

    @pytest.mark.shows("E2")
    @pytest.mark.parametrize("decision", DENIALS, ids=lambda decision: decision.reason)
    def test_envoy_reads_our_denials(self, decision: Deny) -> None:
        """Code, status, headers and body, in the fields that Envoy looks at."""
        read = auth.CheckResponse.parse(encode(decision))
        assert read.status == rpc.Status(code=decision.outcome.code)
        assert (read.ok_response, read.error_response) == (None, None)
        assert read.denied_response is not None
        assert read.denied_response.status == http_type.HttpStatus(code=http_type.StatusCode(decision.outcome.status))
        assert option("x-authz-reason", decision.reason.value) in read.denied_response.headers
        assert read.denied_response.body == f'{{"error":"{decision.reason.value}"}}'

    @pytest.mark.parametrize("decision", [ALLOW, *DENIALS], ids=lambda decision: decision.reason)
    def test_nothing_is_lost_on_the_way_there_and_back(self, decision: Allow | Deny) -> None:
        """Envoy's classes write the very message that they read."""
        sent = ours.CheckResponse.FromString(encode(decision))
        assert ours.CheckResponse.FromString(bytes(auth.CheckResponse.parse(encode(decision)))) == sent

    def test_we_read_what_envoys_classes_write(self) -> None:
        """The other direction, which tests and tools use."""
        theirs = auth.CheckResponse(
            status=rpc.Status(code=7),
            denied_response=auth.DeniedHttpResponse(
                status=http_type.HttpStatus(code=http_type.StatusCode.Forbidden),
                headers=[option("x-authz-reason", "no_route")],
                body="{}",
            ),
        )
        read = ours.CheckResponse.FromString(bytes(theirs))
        assert (read.status.code, read.denied_response.status.code, read.denied_response.body) == (7, 403, "{}")
        (header,) = read.denied_response.headers
        assert (header.header.key, header.header.value) == ("x-authz-reason", "no_route")
        assert (header.append.value, header.append_action) == (False, ours.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD)


@pytest.mark.shows("E7")
@pytest.mark.parametrize("action", ours.HeaderValueOption.AppendAction.items())
def test_append_actions_have_envoys_numbers(action: tuple[str, int]) -> None:
    """A number of our own would mean something else there."""
    name, number = action
    assert core.HeaderValueOptionHeaderAppendAction[name] == number
