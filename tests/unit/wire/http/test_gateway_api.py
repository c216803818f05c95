"""The dialect of NGINX Gateway Fabric: other names for the question, and the answers of NGINX."""

import pytest

from extauthz.core.decision import OUTCOMES, Reason, deny
from extauthz.core.request import AuthRequest
from extauthz.wire.http import gateway_api, nginx
from extauthz.wire.http.gateway_api import METADATA, decode
from support.header_lines import lines

FABRIC = {
    "host": "api.example.com",
    "path": "/a%2Fb/../c?d=e",
    "method": "POST",
    "content-length": "",
    "authorization": "Bearer t",
}


@pytest.mark.shows("N24")
def test_the_question_is_in_path_method_and_host() -> None:
    """Nothing is decoded."""
    assert decode(lines(FABRIC)) == AuthRequest(
        door="gateway-api",
        method="POST",
        target="/a%2Fb/../c?d=e",
        host="api.example.com",
        authorization=("Bearer t",),
    )


@pytest.mark.parametrize("missing", ["path", "method"])
def test_without_method_or_target_the_gateway_is_misconfigured(missing: str) -> None:
    """It is the operator's mistake, and must not look like a client's."""
    headers = {name: value for name, value in FABRIC.items() if name != missing}
    assert decode(lines(headers)).flaw is Reason.MISCONFIGURED_GATEWAY


@pytest.mark.parametrize("name", METADATA)
def test_metadata_that_stands_twice_is_refused(name: bytes) -> None:
    """One of the two is the client's."""
    assert decode([*lines(FABRIC), (name, b"x")]).flaw is Reason.BAD_METADATA


@pytest.mark.shows("N20")
def test_headers_of_other_dialects_change_nothing() -> None:
    """There is one way to say which request is meant."""
    foreign = {"x-original-uri": "/b", "x-original-method": "GET", "x-forwarded-uri": "/b", "x-original-host": "h"}
    assert decode(lines({**FABRIC, **foreign})) == decode(lines(FABRIC))


@pytest.mark.parametrize("reason", OUTCOMES)
def test_the_answers_are_those_for_nginx(reason: Reason) -> None:
    """It is the same module of NGINX that reads them."""
    assert gateway_api.encode(deny(reason)) == nginx.encode(deny(reason))
