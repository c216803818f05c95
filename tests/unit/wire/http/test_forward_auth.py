"""The dialect of forward-auth: one fixed path, the request in X-Forwarded headers, an answer for the client."""

import json

import pytest

from extauthz.core.decision import OUTCOMES, Allow, Reason, deny
from extauthz.core.request import AuthRequest
from extauthz.wire.http.forward_auth import METADATA, decode, encode
from extauthz.wire.http.metadata import FORWARDED_FOR, vocabulary
from support.header_lines import lines, text

TRAEFIK = {
    "host": "127.0.0.1:9191",
    "user-agent": "curl/8",
    "authorization": "Bearer t",
    "cookie": "a=b",
    "x-forwarded-for": "10.0.0.7",
    "x-forwarded-host": "api.example.com",
    "x-forwarded-method": "POST",
    "x-forwarded-port": "443",
    "x-forwarded-proto": "https",
    "x-forwarded-server": "traefik",
    "x-forwarded-uri": "/a%2Fb/../c?d=e",
    "x-real-ip": "10.0.0.7",
    "x-auth-sub": "evil",
}
ALLOW = Allow(reason=Reason.ALLOWED, rule="r", identity=(("x-auth-sub", "u1"),), absent=("x-auth-scope",))


def test_the_question_is_in_the_forwarded_headers_as_they_stand() -> None:
    """Nothing is decoded, and the `Host` of the question is not the host in question."""
    assert decode(lines(TRAEFIK)) == AuthRequest(
        door="forward-auth",
        method="POST",
        target="/a%2Fb/../c?d=e",
        host="api.example.com",
        authorization=("Bearer t",),
        source="10.0.0.7",
    )


@pytest.mark.parametrize("missing", ["x-forwarded-method", "x-forwarded-uri"])
def test_without_method_or_target_the_gateway_is_misconfigured(missing: str) -> None:
    """There is no falling back to the request that asks: it is always GET of one path."""
    headers = {name: value for name, value in TRAEFIK.items() if name != missing}
    assert decode(lines(headers)).flaw is Reason.MISCONFIGURED_GATEWAY


@pytest.mark.shows("N18")
@pytest.mark.parametrize("name", [name for name in METADATA if name != FORWARDED_FOR])
def test_metadata_that_stands_twice_is_refused(name: bytes) -> None:
    """One of the two is the client's."""
    assert decode([*lines(TRAEFIK), (name, b"x")]).flaw is Reason.BAD_METADATA


@pytest.mark.parametrize(
    ("chain", "source"),
    [
        ([], ""),
        (["10.0.0.7"], "10.0.0.7"),
        (["192.0.2.1, 10.0.0.7"], "10.0.0.7"),
        (["192.0.2.1,10.0.0.7 "], "10.0.0.7"),
        (["192.0.2.1", "10.0.0.7"], "10.0.0.7"),
        (["2001:db8::1, 2001:db8::2"], "2001:db8::2"),
        (["10.0.0.7,"], ""),
    ],
)
def test_the_address_is_the_one_that_the_gateway_added(chain: list[str], source: str) -> None:
    """All before it is what the client says; some gateways add a line of their own."""
    others = {name: value for name, value in TRAEFIK.items() if name != "x-forwarded-for"}
    request = decode([*lines(others), *((FORWARDED_FOR, value.encode()) for value in chain)])
    assert (request.source, request.flaw) == (source, None)


@pytest.mark.shows("N19")
@pytest.mark.parametrize(
    "name", ["x_forwarded_for", "x_forwarded_uri", "x.forwarded.uri", "x-forwarded_host", "x_forwarded-proto"]
)
def test_another_spelling_of_metadata_is_refused(name: str) -> None:
    """The gateway strips `X-Forwarded-Uri` and lets this through: some servers read both as one."""
    assert decode(lines({**TRAEFIK, name: "/public"})).flaw is Reason.BAD_METADATA


@pytest.mark.shows("N19")
@pytest.mark.parametrize("name", ["x_auth_sub", "x.auth.scope"])
def test_another_spelling_of_an_identity_header_is_refused(name: str) -> None:
    """The gateway replaces `X-Auth-Sub` alone; this one would reach the application beside it."""
    known = vocabulary(METADATA, ("x-auth-sub", "x-auth-scope"))
    assert decode(lines({**TRAEFIK, name: "root"}), known).flaw is Reason.BAD_METADATA


@pytest.mark.shows("N26")
@pytest.mark.parametrize("method", ["GET,POST", "GET, GET", ""])
def test_a_method_that_is_not_one_word_is_refused(method: str) -> None:
    """Some proxies join two lines of a name with a comma."""
    assert decode(lines({**TRAEFIK, "x-forwarded-method": method})).flaw is Reason.BAD_METADATA


@pytest.mark.shows("N20")
def test_headers_of_other_dialects_change_nothing() -> None:
    """All headers of the client arrive here, so no other one may have a meaning."""
    foreign = {
        "x-original-uri": "/b",
        "x-original-url": "http://h/b",
        "x-original-method": "GET",
        "x-original-host": "h",
        "x-forwarded-prefix": "/b",
        "x-replaced-path": "/b",
        "x-rewrite-url": "/b",
        "x-http-method-override": "GET",
        "forwarded": "host=h",
        "path": "/b",
        "method": "GET",
        "x-envoy-original-path": "/b",
    }
    assert decode(lines({**TRAEFIK, **foreign})) == decode(lines(TRAEFIK))


@pytest.mark.shows("N1", "N46", "N50")
def test_an_allow_has_each_identity_header_once_and_no_body() -> None:
    """Gateways replace only what they receive, so what is absent is sent empty."""
    status, headers, body = encode(ALLOW)
    assert (status, body) == (200, b"")
    assert text(headers) == [
        ("content-length", "0"),
        ("cache-control", "no-store"),
        ("x-auth-sub", "u1"),
        ("x-auth-scope", ""),
    ]


@pytest.mark.shows("S11", "N8", "N9", "N11", "N47", "N53")
@pytest.mark.parametrize("reason", OUTCOMES)
def test_every_denial_is_the_answer_for_the_client(reason: Reason) -> None:
    """The true status, its challenge, when to come again, and the reason in JSON; no identity and nothing else."""
    challenge = 'Bearer realm="api"' if OUTCOMES[reason].challenged else ""
    status, headers, body = encode(deny(reason, challenge=challenge))
    said = dict(text(headers))
    assert status == OUTCOMES[reason].status
    assert json.loads(body) == {"error": reason.value}
    assert said.pop("content-length") == str(len(body))
    assert said.pop("www-authenticate", "") == challenge
    assert (said.pop("retry-after", "") != "") is (status in (429, 503))
    assert said == {"content-type": "application/json", "cache-control": "no-store", "x-authz-reason": reason.value}
