"""The dialect of Envoy's http_service: the request is the question, behind a prefix that is cut off and not decoded."""

import json
from collections.abc import Mapping

import pytest

from extauthz.core.decision import OUTCOMES, Allow, Reason, deny
from extauthz.core.identity import twins
from extauthz.core.request import AuthRequest
from extauthz.wire.http.envoy_http import decode, encode
from support.header_lines import lines, text

ENVOY = {
    "host": "api.example.com",
    "content-length": "0",
    "authorization": "Bearer t",
    "x-request-id": "r1",
    "x-envoy-external-address": "10.0.0.7",
    "x-forwarded-for": "192.0.2.1,10.0.0.7,10.0.0.1",
    "x-envoy-internal": "true",
    "x-envoy-expected-rq-timeout-ms": "1000",
}
ALLOW = Allow(reason=Reason.ALLOWED, rule="r", identity=(("x-auth-sub", "u1"),), absent=("x-auth-scope",))


def ask(raw_path: bytes, query: bytes = b"", method: str = "GET", more: Mapping[str, str] = {}) -> AuthRequest:
    return decode(method, raw_path, query, lines({**ENVOY, **more}))


@pytest.mark.shows("E79")
def test_the_question_is_the_request_itself() -> None:
    """Method, host, path and query are the client's own."""
    assert ask(b"/envoy/orders/1", b"x=%2F", "PATCH") == AuthRequest(
        door="envoy-http",
        method="PATCH",
        target="/orders/1?x=%2F",
        host="api.example.com",
        authorization=("Bearer t",),
        request_id="r1",
        source="10.0.0.7",
    )


@pytest.mark.shows("E79", "N25")
@pytest.mark.parametrize(
    "target",
    ["/", "//", "/a%2Fb", "/a/../b", "/%65nvoy/a", "/envoy/a", "/a;b", "/a\\b", "/%00", "/..", "/\xe9", "/a//"],
)
def test_the_prefix_is_cut_off_once_and_the_rest_is_as_it_was_sent(target: str) -> None:
    """What is odd in the path is for the judge to see."""
    assert ask(b"/envoy" + target.encode("latin-1")).target == target


@pytest.mark.shows("E82")
def test_the_prefix_alone_is_no_question() -> None:
    """An Envoy with `path_override` asks like this about every request: it does not say which."""
    assert ask(b"/envoy").flaw is Reason.MISCONFIGURED_GATEWAY
    assert ask(b"/envoy", b"a=/orders").flaw is Reason.MISCONFIGURED_GATEWAY


def test_without_envoys_word_the_address_is_not_known() -> None:
    """The end of `X-Forwarded-For` is Envoy itself, for every client."""
    headers = {name: value for name, value in ENVOY.items() if name != "x-envoy-external-address"}
    assert decode("GET", b"/envoy/a", b"", lines(headers)).source == ""


def test_a_second_address_is_refused() -> None:
    """One of the two is the client's."""
    twice = [*lines(ENVOY), (b"x-envoy-external-address", b"192.0.2.1")]
    assert decode("GET", b"/envoy/a", b"", twice).flaw is Reason.BAD_METADATA


@pytest.mark.shows("E53", "E83", "N20")
def test_no_header_can_name_another_request() -> None:
    """Those of the other dialects belong to the client here."""
    foreign = {
        "x-original-uri": "/b",
        "x-original-url": "http://h/b",
        "x-original-method": "DELETE",
        "x-original-host": "h",
        "x-forwarded-uri": "/b",
        "x-forwarded-method": "DELETE",
        "x-forwarded-host": "h",
        "x-envoy-original-path": "/b",
        "x-http-method-override": "DELETE",
        "path": "/b",
        "method": "DELETE",
    }
    assert ask(b"/envoy/a", more=foreign) == ask(b"/envoy/a")


@pytest.mark.shows("E80", "N1", "N46", "N50")
def test_an_allow_is_exactly_200_and_settles_every_identity_header() -> None:
    """What the answer does not name passes as the client sent it: so twins are removed, and the absent emptied too."""
    status, headers, body = encode(ALLOW)
    said = dict(text(headers))
    assert (status, body, len(said)) == (200, b"", len(headers))
    removed = said.pop("x-envoy-auth-headers-to-remove").split(", ")
    assert said == {"content-length": "0", "cache-control": "no-store", "x-auth-sub": "u1", "x-auth-scope": ""}
    assert set(removed) == {
        *twins("x-auth-scope"),
        *twins("x-auth-sub"),
        "x-envoy-auth-failure-mode-allowed",
    } - {"x-auth-sub"}


@pytest.mark.shows("S11", "E81", "E84", "N8", "N9", "N11", "N47", "N53")
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
