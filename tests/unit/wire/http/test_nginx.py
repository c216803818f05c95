"""The dialect of NGINX: metadata in headers, and answers that NGINX understands."""

import pytest

from extauthz.core.decision import OUTCOMES, Allow, Reason, deny
from extauthz.core.introspection import Active, Inactive
from extauthz.core.policy import decide
from extauthz.core.request import AuthRequest
from extauthz.wire.http.metadata import Headers, vocabulary
from extauthz.wire.http.nginx import METADATA, ROUTE, decode, encode
from support.header_lines import lines, text
from support.largest import largest_rule, largest_token

QUESTION = {
    "host": "127.0.0.1",
    "authorization": "Bearer t",
    "x-request-id": "r1",
    "x-original-method": "POST",
    "x-original-uri": "/a%2Fb/../c?d=e",
    "x-original-host": "api.example.com",
    "x-original-proto": "https",
    "x-original-remote-addr": "10.0.0.7",
}
ALLOW = Allow(reason=Reason.ALLOWED, rule="r", identity=(("x-auth-sub", "u1"),), absent=("x-auth-scope",))


def test_the_question_is_in_the_headers_as_they_stand() -> None:
    """Nothing is decoded, and the `Host` of the question is not the host in question."""
    assert decode(lines(QUESTION)) == AuthRequest(
        door="nginx",
        method="POST",
        target="/a%2Fb/../c?d=e",
        host="api.example.com",
        authorization=("Bearer t",),
        request_id="r1",
        source="10.0.0.7",
    )


@pytest.mark.parametrize("missing", ["x-original-method", "x-original-uri"])
def test_without_method_or_target_the_gateway_is_misconfigured(missing: str) -> None:
    """It is the operator's mistake, and must not look like a client's."""
    headers = {name: value for name, value in QUESTION.items() if name != missing}
    assert decode(lines(headers)).flaw is Reason.MISCONFIGURED_GATEWAY


@pytest.mark.shows("N18")
@pytest.mark.parametrize("name", METADATA)
def test_metadata_that_stands_twice_is_refused(name: bytes) -> None:
    """One of the two is the client's."""
    assert decode([*lines(QUESTION), (name, b"x"), (name, b"x")]).flaw is Reason.BAD_METADATA


@pytest.mark.shows("N19")
@pytest.mark.parametrize(
    "name",
    ["x_original_uri", "x.original.uri", "x-original_method", "x_original_url", "x_original_remote_addr", "x_real_ip"],
)
def test_another_spelling_of_metadata_is_refused(name: str) -> None:
    """It came from the client: NGINX itself writes hyphens."""
    assert decode(lines({**QUESTION, name: "/public"})).flaw is Reason.BAD_METADATA


@pytest.mark.shows("N20")
def test_headers_of_other_dialects_change_nothing() -> None:
    """There is one way to say which request is meant."""
    foreign = {
        "x-forwarded-uri": "/b",
        "x-forwarded-method": "GET",
        "path": "/b",
        "method": "GET",
        "x-rewrite-url": "/b",
        "x-forwarded-for": "192.0.2.1",
        "x-real-ip": "192.0.2.1",
    }
    assert decode(lines({**QUESTION, **foreign})) == decode(lines(QUESTION))


@pytest.mark.shows("N1", "N46", "N50")
def test_an_allow_has_each_identity_header_once_and_no_body() -> None:
    """An empty value makes NGINX remove the client's own copy; a body would cost the connection."""
    status, headers, body = encode(ALLOW)
    assert (status, body) == (200, b"")
    assert text(headers) == [
        ("content-length", "0"),
        ("cache-control", "no-store"),
        ("x-authz-reason", "allowed"),
        ("x-auth-sub", "u1"),
        ("x-auth-scope", ""),
    ]


@pytest.mark.shows("N52", "N56")
def test_an_allow_that_may_be_kept_says_for_how_long_and_for_whom() -> None:
    """Another token is another answer."""
    kept = Allow(reason=Reason.ALLOWED, rule="r", identity=(), absent=(), cache_seconds=5)
    assert text(encode(kept)[1]) == [
        ("content-length", "0"),
        ("cache-control", "max-age=5"),
        ("vary", "Authorization"),
        ("x-authz-reason", "allowed"),
    ]


SMALLEST_BUFFER = 4096
"""`proxy_buffer_size` of NGINX where memory pages have 4 KiB; a head that does not fit is a 502, and so a 500."""


def head_bytes(status: int, headers: Headers) -> int:
    return len(f"HTTP/1.1 {status} Internal Server Error\r\n\r\n") + sum(len(n) + len(v) + 4 for n, v in headers)


@pytest.mark.shows("N49")
def test_the_head_of_every_answer_fits_into_the_smallest_buffer() -> None:
    """Whatever a policy asks for and a token has; a token that has more is refused."""
    rule = largest_rule()
    decisions = [decide(rule, state, 0.0) for state in (largest_token(rule), Inactive(), Active(scopes=frozenset()))]
    assert [decision.reason for decision in decisions] == [
        Reason.ALLOWED,
        Reason.INACTIVE,
        Reason.INSUFFICIENT_SCOPE,
    ]
    for decision in decisions:
        status, headers, _ = encode(decision)
        assert head_bytes(status, headers) < SMALLEST_BUFFER
    assert decide(rule, largest_token(rule, beyond=1), 0.0).reason is Reason.IDENTITY_NOT_FORWARDABLE


@pytest.mark.shows("S11", "N2", "N3", "N7", "N9", "N51", "N53")
@pytest.mark.parametrize("reason", OUTCOMES)
def test_every_denial_is_a_status_that_nginx_understands(reason: Reason) -> None:
    """Beside it stands the status that is meant; a 401 has a challenge; nothing has a body or an identity."""
    challenge = 'Bearer realm="api"' if OUTCOMES[reason].challenged else ""
    status, headers, body = encode(deny(reason, challenge=challenge))
    said = dict(text(headers))
    meant = OUTCOMES[reason].status
    assert status == ({400: 401, 401: 401, 403: 403} if challenge else {400: 403, 403: 403}).get(meant, 500)
    assert (said["x-authz-status"], said["x-authz-reason"]) == (str(meant), reason.value)
    assert ("www-authenticate" in said) is (status == 401)
    assert ("x-authz-challenge" in said) is (status == 403 and bool(challenge))
    assert (said["content-length"], said["cache-control"], body) == ("0", "no-store", b"")
    assert ("retry-after" in said) is (meant in (429, 503))


def test_a_gateway_that_lets_headers_of_clients_through_names_no_route() -> None:
    """ingress-nginx, known by its URL, writes no such header: it is a client that chooses the route which lets it pass."""
    known = vocabulary((*METADATA, ROUTE))
    asked = {name: value for name, value in QUESTION.items() if name != "x-original-uri"}
    asked["x-authz-route"] = "open"
    request = decode(lines(asked | {"x-original-url": "https://api.example.com/a"}), known)
    assert request.flaw is Reason.BAD_METADATA
    assert decode(lines(asked | {"x-original-uri": "/a"}), known).route == "open"
