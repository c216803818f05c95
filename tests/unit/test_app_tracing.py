"""Spans around a decision: whose children they are, what they say, and what they never say."""

import asyncio
import logging
import threading
from collections.abc import Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from structlog.testing import capture_logs

from extauthz import app_tracing
from extauthz.app_tracing import Tracing
from extauthz.config.recording import Tracing as Section
from extauthz.core.decision import Reason
from extauthz.core.introspection import Inactive, Resolution, TokenState, Unavailable
from extauthz.core.request import AuthRequest
from extauthz.core.token import Token
from extauthz.resolver.cache import TokenCache
from extauthz.resolver.chain import Resolver, Source
from extauthz.resolver.settings import ServerSettings
from extauthz.resolver.tracing import TRACE
from extauthz.testing import RecordingObserver, TickingClock, active, policy, request, rule

TRACE_ID, PARENT_ID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = (f"00-{TRACE_ID}-{PARENT_ID}-{flags}" for flags in ("01", "00"))
SETTINGS = ServerSettings(
    name="main", introspection_endpoint="https://as.example.com/i", client_id="g", ttl=60.0, negative_ttl=10.0
)


class Server:
    """An authorization server that remembers with which `traceparent` it was asked."""

    def __init__(self, state: TokenState) -> None:
        self.state = state
        self.traces: list[str] = []

    async def ask(self, token: Token) -> TokenState:
        """Its one answer, which takes a moment."""
        self.traces.append(TRACE.get())
        await asyncio.sleep(0)
        return self.state

    async def close(self) -> None:
        """Nothing to close."""


class Shared:
    """A shared cache that knows nothing."""

    async def find(self, token: Token, max_age: float | None) -> Resolution | None:
        """It does not know."""

    def keep(self, token: Token, state: TokenState, age: float, position: int) -> None:
        """It forgets."""

    async def close(self) -> None:
        """Nothing to close."""


class Bench:
    """A traced authorizer on a traced resolver, and its spans."""

    def __init__(
        self,
        state: TokenState | None = None,
        *,
        sample: float = 1.0,
        shared: bool = False,
        exporter: SpanExporter | None = None,
    ) -> None:
        self.exporter = InMemorySpanExporter()
        section = Section(endpoint="http://127.0.0.1:4318/v1/traces", sample=sample)
        self.tracing = Tracing(section, exporter or self.exporter)
        self.server = Server(state or active(sub="canary", client_id="canary"))
        clock, observer = TickingClock(), RecordingObserver()
        cache = TokenCache(SETTINGS, secret=b"k", monotonic=clock, wall=clock)
        source = Source(name="main", cache=cache, client=self.server, shared=Shared() if shared else None)
        resolver = Resolver([self.tracing.source(source)], observer=observer, monotonic=clock)
        self.authorizer = self.tracing.authorizer(
            policy=policy(rule()),
            resolver=self.tracing.resolver(resolver),
            observer=observer,
            wall=clock,
            monotonic=clock,
            decision_ids=lambda: "d-1",
        )

    async def spans(self, *asked: AuthRequest) -> Sequence[ReadableSpan]:
        """All of them, in the order of their ends."""
        for each in asked:
            await self.authorizer.check(each)
        await self.tracing.close()
        return self.exporter.get_finished_spans()


def ids(span: ReadableSpan) -> tuple[str, str, str]:
    """Of the trace, of the parent and of the span itself."""
    parent = "" if span.parent is None else f"{span.parent.span_id:016x}"
    assert span.context is not None
    return f"{span.context.trace_id:032x}", parent, f"{span.context.span_id:016x}"


@pytest.mark.shows("E75")
async def test_a_decision_is_a_child_of_the_gateways_span_and_the_rest_are_its_own() -> None:
    """The authorization server is told of the span of the question, so that its own becomes a child of that."""
    bench = Bench(shared=True)
    cache, shared, introspect, authorize = await bench.spans(request(token="t", trace=SAMPLED))
    assert [span.name for span in (cache, shared, introspect, authorize)] == [
        "cache",
        "shared cache",
        "introspect",
        "authorize",
    ]
    trace, parent, decision = ids(authorize)
    assert (trace, parent) == (TRACE_ID, PARENT_ID)
    for span in (cache, shared, introspect):
        assert ids(span)[:2] == (TRACE_ID, decision)
    assert bench.server.traces == [f"00-{TRACE_ID}-{ids(introspect)[2]}-01"]


async def test_a_token_that_is_known_is_looked_up_and_not_asked_about() -> None:
    """The first time it is not there, the second time it is."""
    bench = Bench()
    spans = await bench.spans(*[request(token="t", trace=SAMPLED)] * 2)
    assert [span.name for span in spans] == ["cache", "introspect", "authorize", "cache", "authorize"]
    assert [(span.attributes or {})["extauthz.hit"] for span in spans if span.name == "cache"] == [False, True]


async def test_a_decision_says_what_the_audit_line_says() -> None:
    """As far as it is about the policy and not about the request."""
    (authorize,) = await Bench().spans(request(trace=SAMPLED, door="nginx"))
    assert dict(authorize.attributes or {}) == {
        "extauthz.decision_id": "d-1",
        "extauthz.door": "nginx",
        "extauthz.outcome": "deny",
        "extauthz.reason": "no_credentials",
        "extauthz.rule": "orders",
        "extauthz.level": "",
    }
    assert authorize.status.status_code is StatusCode.UNSET, "a denial is no error"


@pytest.mark.parametrize(
    ("state", "outcome", "failed"),
    [
        (active(), "active", False),
        (Inactive(), "inactive", False),
        (Unavailable(reason=Reason.SERVER_TIMEOUT, detail="canary"), "server_timeout", True),
    ],
)
async def test_a_question_says_how_it_ended(state: TokenState, outcome: str, failed: bool) -> None:
    """Trouble of the server is an error, of the question and of the decision; a bad token is none."""
    _, introspect, authorize = await Bench(state).spans(request(token="t", trace=SAMPLED))
    assert dict(introspect.attributes or {}) == {"extauthz.server": "main", "extauthz.outcome": outcome}
    expected = StatusCode.ERROR if failed else StatusCode.UNSET
    assert (introspect.status.status_code, authorize.status.status_code) == (expected, expected)


@pytest.mark.shows("S34", "N43")
async def test_no_span_has_a_token_a_path_or_a_name() -> None:
    """Whoever reads traces need not know who did what."""
    asked = request(target="/orders/canary?q=canary", host="canary.example.com", token="canary", request_id="canary")
    spans = await Bench(shared=True).spans(
        asked._replace(trace=SAMPLED), asked._replace(authorization=("canary",), trace=SAMPLED)
    )
    assert len(spans) > 4
    assert "canary" not in "".join(span.to_json() for span in spans)


@pytest.mark.parametrize(("trace", "sample", "sampled"), [(UNSAMPLED, 1.0, False), ("", 0.0, False), ("x", 1.0, True)])
async def test_the_gateway_says_what_is_sampled_and_the_file_says_it_where_no_trace_came(
    trace: str, sample: float, sampled: bool
) -> None:
    """What is not sampled goes on to the server all the same: it must not be sampled there either."""
    bench = Bench(sample=sample)
    spans = await bench.spans(request(token="t", trace=trace))
    assert bool(spans) is sampled
    (told,) = bench.server.traces
    assert told.endswith("-01" if sampled else "-00")
    assert (TRACE_ID in told) is (trace == UNSAMPLED)


async def test_a_check_that_is_given_up_ends_its_span() -> None:
    """And is passed through."""
    bench = Bench()
    waiting = asyncio.create_task(bench.authorizer.check(request(token="t", trace=SAMPLED)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await bench.tracing.close()
    assert "authorize" in [span.name for span in bench.exporter.get_finished_spans()]


class Hanging(SpanExporter):
    """A collector that does not answer."""

    def __init__(self) -> None:
        self.entered, self.done = threading.Event(), threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Wait until it may go."""
        self.entered.set()
        self.done.wait(40)
        return SpanExportResult.FAILURE


async def test_a_collector_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its spans are lost."""
    monkeypatch.setattr(app_tracing, "EXPORT_SECONDS", 0.05)
    hanging = Hanging()
    bench = Bench(exporter=hanging)
    await asyncio.wait_for(bench.spans(request(trace=SAMPLED)), 20)
    assert hanging.entered.wait(20)
    hanging.done.set()


def test_trouble_with_the_collector_is_told_in_our_log() -> None:
    """As JSON, like all the rest."""
    Bench()
    with capture_logs() as lines:
        logging.getLogger("opentelemetry.exporter").error("no answer from %s", "127.0.0.1:4318")
    assert [(line["log_level"], line["detail"]) for line in lines] == [("warning", "no answer from 127.0.0.1:4318")]
