"""The caller's deadline: read from `grpc-timeout`, kept with a margin, and met whatever the server does."""

import asyncio

import pytest

from extauthz._gen.extauthz_envoy_pb2 import AttributeContext, CheckRequest, CheckResponse, HttpRequest, Request
from extauthz.core.decision import Reason
from extauthz.testing import Bench, StubResolver, active
from extauthz.wire.envoy.decode import decode
from extauthz.wire.envoy.grpc_asgi import GrpcMethod
from extauthz.wire.envoy.service import CheckService, Options

HTTP = HttpRequest(method="GET", path="/orders/1", host="api.example.com", headers={"authorization": "Bearer good"})


def message(**extensions: str) -> bytes:
    attributes = AttributeContext(request=Request(http=HTTP), context_extensions=extensions)
    return CheckRequest(attributes=attributes).SerializeToString()


@pytest.mark.shows("E61")
@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (b"200m", 0.2),
        (b"1S", 1.0),
        (b"2M", 120.0),
        (b"1H", 3600.0),
        (b"500000u", 0.5),
        (b"1000000n", 0.001),
        (b"", None),
        (b"5", None),
        (b"S", None),
        (b"-1S", None),
        (b"1.5S", None),
        (b"1X", None),
        (b"99999999S", 99999999.0),
        (b"999999999S", None),
        (b"9" * 400 + b"S", None),
        (b"99999999H", 99_999_999 * 3600.0),
        pytest.param(b"9" * 5000 + b"S", None, id="digits that Python does not read"),
    ],
)
async def test_the_timeout_header_is_read_as_grpc_writes_it(header: bytes, seconds: float | None) -> None:
    heard: list[float | None] = []

    async def method(_message: bytes, deadline: float | None, _trace: str) -> bytes:
        heard.append(deadline)
        return b""

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"\0\0\0\0\0", "more_body": False}

    async def send(_message: object) -> None:
        await asyncio.sleep(0)

    headers = [(b"te", b"trailers"), (b"grpc-timeout", header)]
    await GrpcMethod(method)({"method": "POST", "headers": headers}, receive, send)
    assert heard == [pytest.approx(seconds) if seconds is not None else None]


@pytest.mark.shows("E61")
@pytest.mark.parametrize(("deadline", "patience"), [(None, None), (1.0, 0.9), (0.05, 0.04), (0.2, 0.18)])
async def test_the_resolver_gets_the_deadline_less_a_margin(deadline: float | None, patience: float | None) -> None:
    """A tenth, and at least ten milliseconds: an answer that comes late is no answer."""
    bench = Bench()
    await CheckService(bench.authorizer)(message(), deadline)
    assert bench.resolver.asked[0].terms.patience == (patience if patience is None else pytest.approx(patience))


@pytest.mark.shows("E40")
@pytest.mark.parametrize(
    ("read", "extensions", "added", "flaw"),
    [
        (True, {"required_scope": "a b"}, ("a", "b"), None),
        (True, {"other": "a"}, (), None),
        (True, {}, (), None),
        (False, {"required_scope": "a b"}, (), None),
        (True, {"required_scope": ""}, (), Reason.MISCONFIGURED_GATEWAY),
        (True, {"required_scope": 'a "b"'}, (), Reason.MISCONFIGURED_GATEWAY),
        (True, {"required_scope": "a  b"}, (), Reason.MISCONFIGURED_GATEWAY),
        (True, {"required_scope": "a" * 1024}, ("a" * 1024,), None),
        (True, {"required_scope": "a" * 1025}, (), Reason.MISCONFIGURED_GATEWAY),
    ],
)
def test_extensions_add_scopes_only_where_switched_on_and_a_wrong_list_is_a_flaw(
    read: bool, extensions: dict[str, str], added: tuple[str, ...], flaw: Reason | None
) -> None:
    request = decode(message(**extensions), read_extensions=read)
    assert (request.added_scopes, request.flaw) == (added, flaw)


async def test_answers_carry_no_metadata_where_it_is_switched_off() -> None:
    bench = Bench(resolver=StubResolver({"good": active()}))
    answer = await CheckService(bench.authorizer, Options(metadata=False))(message())
    assert not CheckResponse.FromString(answer).HasField("dynamic_metadata")
