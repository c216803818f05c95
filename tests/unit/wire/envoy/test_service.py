"""The two gRPC services from message bytes to message bytes: each question is answered, whatever it is."""

import asyncio

import pytest
from hypothesis import given, settings, strategies as st

from extauthz._gen.extauthz_envoy_pb2 import AttributeContext, CheckRequest, CheckResponse, HttpRequest, Request
from extauthz._gen.extauthz_health_pb2 import HealthCheckRequest, HealthCheckResponse
from extauthz.authorizer import Authorizer
from extauthz.core.decision import Reason
from extauthz.core.introspection import TokenState, Unavailable
from extauthz.core.policy import Rule
from extauthz.core.request import AuthRequest
from extauthz.observe.events import Checked
from extauthz.testing import RecordingObserver, StubResolver, TickingClock, active, policy, rule
from extauthz.wire.envoy import service
from extauthz.wire.envoy.service import AUTHORIZATION, CHECK_PATH, HEALTH_PATH, CheckService, HealthService
from extauthz.wire.readiness import Readiness

TOKENS: dict[str, TokenState] = {
    "good": active("orders:read"),
    "small": active("other"),
    "nobody": active("", sub=None),
    "down": Unavailable(reason=Reason.SERVER_TIMEOUT, detail="a secret of ours"),
}


class Bench:
    """The check service over a policy; by default one with a public route as well."""

    def __init__(self, *rules: Rule, resolver: StubResolver | None = None) -> None:
        clock = TickingClock()
        self.observer = RecordingObserver()
        self.service = CheckService(
            Authorizer(
                policy=policy(*(rules or (rule(), rule(name="health", path="/healthz", anonymous=True)))),
                resolver=resolver or StubResolver(TOKENS),
                observer=self.observer,
                wall=clock,
                monotonic=clock,
                decision_ids=str,
            )
        )

    async def check(self, message: bytes) -> CheckResponse:
        return CheckResponse.FromString(await self.service(message))


def message(path: str = "/orders/1", token: str | None = None, method: str = "GET") -> bytes:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    http = HttpRequest(method=method, path=path, host="api.example.com", headers=headers)
    return CheckRequest(attributes=AttributeContext(request=Request(http=http))).SerializeToString()


def assert_denies(response: CheckResponse) -> None:
    assert response.status.code != 0
    assert response.WhichOneof("http_response") == "denied_response"
    assert 400 <= response.denied_response.status.code <= 599


@pytest.mark.shows("E23", "E33", "E35", "E37", "E55")
@pytest.mark.parametrize(
    ("asked", "code", "status"),
    [
        (message(token="good"), 0, 0),
        (message("/healthz"), 0, 0),
        (message(), 16, 401),
        (message(token="unknown"), 16, 401),
        (message(token="b@d"), 3, 400),
        (message(token="small"), 7, 403),
        (message(token="nobody"), 7, 403),
        (message(token="down"), 14, 503),
        (message("/nowhere", token="good"), 7, 403),
        (message("/orders/../admin", token="good"), 3, 400),
        (message(method="get", token="good"), 3, 400),
        (b"\xff", 3, 400),
        (b"", 3, 400),
    ],
)
async def test_a_question_has_one_answer(asked: bytes, code: int, status: int) -> None:
    """From bytes to bytes, with one event for each."""
    bench = Bench()
    response = await bench.check(asked)
    assert (response.status.code, response.denied_response.status.code) == (code, status)
    assert len(bench.observer.checks) == 1


@pytest.mark.shows("E5")
async def test_a_defect_of_our_own_denies_and_tells_nothing() -> None:
    """Neither its name nor its text leaves the process."""
    broken = StubResolver(fault=RuntimeError("the password is canary"))
    response = await Bench(resolver=broken).service(message(token="good"))
    assert_denies(CheckResponse.FromString(response))
    assert b"canary" not in response
    assert b"RuntimeError" not in response


@pytest.mark.shows("E1", "E5")
@pytest.mark.parametrize("broken", ["decode", "encode"])
async def test_a_codec_that_fails_denies(monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    """A gRPC error would leave the verdict to the gateway's failure mode."""

    def fail(_: object) -> object:
        raise RuntimeError("canary")

    monkeypatch.setattr(service, broken, fail)
    answer = await Bench().service(message(token="good"))
    assert_denies(CheckResponse.FromString(answer))
    assert b"canary" not in answer


async def test_details_of_trouble_are_not_for_clients() -> None:
    """They are in the operator's log."""
    assert b"secret" not in await Bench().service(message(token="down"))


requests = st.builds(
    HttpRequest,
    method=st.sampled_from(["GET", "POST", "get", ""]) | st.text(max_size=5),
    path=st.sampled_from(["/orders/1", "/orders/%2e", "//"]) | st.text(max_size=20),
    host=st.text(max_size=20),
    headers=st.dictionaries(
        st.sampled_from(["authorization", "Authorization", "x-request-id"]) | st.text(max_size=10),
        st.sampled_from(["Bearer unknown", "Bearer small", "Bearer ", "Basic Zm9v"]) | st.text(max_size=30),
    ),
)


def as_message(http: HttpRequest) -> bytes:
    return CheckRequest(attributes=AttributeContext(request=Request(http=http))).SerializeToString()


@pytest.mark.shows("E1", "E2")
@settings(deadline=None, max_examples=400)
@given(asked=st.binary() | requests.map(as_message))
def test_every_message_is_answered_and_nothing_slips_through(asked: bytes) -> None:
    """No exception, no empty answer, and no allow without a good token."""
    bench = Bench(rule(), resolver=StubResolver({"small": active("other")}))
    assert_denies(asyncio.run(bench.check(asked)))
    assert len(bench.observer.checks) == 1


def test_the_paths_are_the_ones_on_the_wire() -> None:
    """Clients know these two."""
    assert CHECK_PATH == "/envoy.service.auth.v3.Authorization/Check"
    assert HEALTH_PATH == "/grpc.health.v1.Health/Check"


class TestHealth:
    """`grpc.health.v1.Health/Check`."""

    @pytest.mark.shows("E67")
    @pytest.mark.parametrize("name", ["", AUTHORIZATION])
    async def test_it_tells_whether_we_want_work(self, name: str) -> None:
        """Not yet, yes, no more."""
        readiness = Readiness()
        health = HealthService(readiness)
        asked = HealthCheckRequest(service=name).SerializeToString()
        answers = [await health(asked)]
        readiness.start()
        answers.append(await health(asked))
        readiness.drain()
        answers.append(await health(asked))
        statuses = [HealthCheckResponse.FromString(answer or b"").status for answer in answers]
        no, yes = HealthCheckResponse.NOT_SERVING, HealthCheckResponse.SERVING
        assert statuses == [no, yes, no]

    async def test_the_bytes_are_those_of_the_standard(self) -> None:
        """Field 1, an enum: 1 is SERVING, 2 is NOT_SERVING."""
        readiness = Readiness()
        assert await HealthService(readiness)(b"") == b"\x08\x02"
        readiness.start()
        assert await HealthService(readiness)(b"") == b"\x08\x01"

    @pytest.mark.shows("E67")
    @pytest.mark.parametrize(
        "asked",
        [
            HealthCheckRequest(service="other").SerializeToString(),
            HealthCheckRequest(service=AUTHORIZATION.lower()).SerializeToString(),
            HealthCheckRequest(service="envoy.service.auth.v2.Authorization").SerializeToString(),
            b"\xff",
        ],
    )
    async def test_other_names_are_not_found(self, asked: bytes) -> None:
        """A probe for a service that is not here must not look well."""
        readiness = Readiness()
        readiness.start()
        assert await HealthService(readiness)(asked) is None


async def test_all_that_arrived_together_is_read_before_any_of_it_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step is taken for all of them in a row."""
    steps: list[str] = []
    bench = Bench()
    examine = Authorizer.examine

    def reads(_message: bytes, **_options: object) -> AuthRequest:
        steps.append("read")
        return AuthRequest(door="envoy", method="GET", target="/healthz")

    async def decides(authorizer: Authorizer, request: AuthRequest) -> Checked:
        steps.append("decided")
        return await examine(authorizer, request)

    monkeypatch.setattr(service, "decode", reads)
    monkeypatch.setattr(Authorizer, "examine", decides)
    await asyncio.gather(*(bench.check(message()) for _ in range(3)))
    assert steps == ["read"] * 3 + ["decided"] * 3
