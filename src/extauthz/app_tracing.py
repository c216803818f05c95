"""Traces by OpenTelemetry, around parts that know nothing of them. Imported only where extauthz.yaml has `tracing:`.

authorize       one decision; its parent is the gateway's span, from `traceparent`
  cache         the look-up in memory
  shared cache  the look-up in Redis
  introspect    the question to the authorization server, who is told of this span

A span says by which rule, for which reason and how it ended. It has no token, no path, and no name of a user.
"""

import asyncio
import logging
import threading
from dataclasses import replace
from typing import Final

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from extauthz.authorizer import Authorizer, TokenResolver
from extauthz.config.recording import Tracing as TracingSection
from extauthz.core.decision import Deny
from extauthz.core.introspection import Active, Inactive, Resolution, TokenState
from extauthz.core.request import AuthRequest
from extauthz.core.terms import Terms
from extauthz.core.token import Token
from extauthz.core.trace import TRACEPARENT
from extauthz.observe.events import Checked
from extauthz.resolver.chain import Introspector, Shared, Source
from extauthz.resolver.tracing import TRACE
from extauthz.version import VERSION

EXPORT_SECONDS: Final = 5.0
"""Time for the collector to take spans; at the end of the process, for all that are left."""

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_SERVER_TROUBLE: Final = 500


class Tracing:
    """Makes parts that tell what they do. Spans wait for the collector in a thread of their own; what it is too slow for is lost."""

    def __init__(self, settings: TracingSection, exporter: SpanExporter | None = None) -> None:
        _log_as_we_do()
        self._provider = TracerProvider(
            sampler=ParentBased(TraceIdRatioBased(settings.sample)),
            resource=Resource.create({"service.name": settings.service_name, "service.version": VERSION}),
            shutdown_on_exit=False,
        )
        sends = exporter or OTLPSpanExporter(endpoint=settings.endpoint, timeout=EXPORT_SECONDS)
        self._provider.add_span_processor(BatchSpanProcessor(sends))
        self._tracer = self._provider.get_tracer("extauthz", VERSION)

    @property
    def authorizer(self) -> type[Authorizer]:
        """An authorizer whose decisions are spans."""
        return _traced(self._tracer)

    def resolver(self, resolver: TokenResolver) -> TokenResolver:
        """The same, with look-ups that are spans."""
        return _TracedResolver(resolver, self._tracer)

    def source(self, source: Source) -> Source:
        """The same server, with questions that are spans."""
        shared = None if source.shared is None else _TracedShared(source.shared, self._tracer)
        return replace(source, client=_TracedClient(source.name, source.client, self._tracer), shared=shared)

    async def close(self) -> None:
        """Send what waits; a collector that does not answer is not waited for."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        await asyncio.to_thread(ending.join, EXPORT_SECONDS)


def _traced(tracer: Tracer) -> type[Authorizer]:
    class Traced(Authorizer):
        async def examine(self, request: AuthRequest) -> Checked:
            """Answer one request within a span."""
            with tracer.start_as_current_span(
                "authorize",
                context=_parent(request.trace),
                kind=SpanKind.SERVER,
                record_exception=False,
                set_status_on_exception=False,
            ) as span:
                event = await super().examine(request._replace(trace=_traceparent(span)))
                if span.is_recording():
                    _describe(span, event)
                return event

    return Traced


class _TracedResolver:
    def __init__(self, inner: TokenResolver, tracer: Tracer) -> None:
        self._inner = inner
        self._tracer = tracer

    def known(self, server: str, token: Token, max_age: float | None) -> Resolution | None:
        """The same, within a span."""
        if not get_current_span().is_recording():
            return self._inner.known(server, token, max_age)
        with self._tracer.start_as_current_span("cache") as span:
            known = self._inner.known(server, token, max_age)
            span.set_attribute("extauthz.hit", known is not None)
            return known

    async def resolve(self, server: str, token: Token, terms: Terms) -> Resolution:
        """The same: the steps have spans of their own."""
        return await self._inner.resolve(server, token, terms)


class _TracedShared:
    def __init__(self, inner: Shared, tracer: Tracer) -> None:
        self._inner = inner
        self._tracer = tracer
        self.keep = inner.keep
        self.close = inner.close

    async def find(self, token: Token, max_age: float | None) -> Resolution | None:
        """The same, within a span."""
        with self._tracer.start_as_current_span("shared cache", kind=SpanKind.CLIENT, record_exception=False) as span:
            known = await self._inner.find(token, max_age)
            span.set_attribute("extauthz.hit", known is not None)
            return known


class _TracedClient:
    def __init__(self, server: str, inner: Introspector, tracer: Tracer) -> None:
        self._server = server
        self._inner = inner
        self._tracer = tracer
        self.close = inner.close

    async def ask(self, token: Token) -> TokenState:
        """The same, within a span that the server is told of."""
        with self._tracer.start_as_current_span("introspect", kind=SpanKind.CLIENT, record_exception=False) as span:
            before = TRACE.set(_traceparent(span))
            try:
                state = await self._inner.ask(token)
            finally:
                TRACE.reset(before)
            outcome = _outcome(state)
            span.set_attributes({"extauthz.server": self._server, "extauthz.outcome": outcome})
            if outcome not in ("active", "inactive"):
                span.set_status(Status(StatusCode.ERROR, outcome))
            return state


def _parent(traceparent: str) -> Context:
    """The span of the gateway; an empty context where there is none, or none that makes sense."""
    return _PROPAGATOR.extract({TRACEPARENT: traceparent}, Context())


def _traceparent(span: Span) -> str:
    known = span.get_span_context()
    return f"00-{known.trace_id:032x}-{known.span_id:016x}-{int(known.trace_flags) & 1:02x}"


def _describe(span: Span, event: Checked) -> None:
    """In words of the policy and of our own."""
    decision = event.decision
    denied = isinstance(decision, Deny)
    span.set_attributes(
        {
            "extauthz.decision_id": event.decision_id,
            "extauthz.door": event.door,
            "extauthz.outcome": "deny" if denied else "allow",
            "extauthz.reason": decision.reason.value,
            "extauthz.rule": decision.rule,
            "extauthz.level": event.level,
        }
    )
    if isinstance(decision, Deny) and decision.outcome.status >= _SERVER_TROUBLE:
        span.set_status(Status(StatusCode.ERROR, decision.reason.value))


def _outcome(state: TokenState) -> str:
    match state:
        case Active():
            return "active"
        case Inactive():
            return "inactive"
        case _:
            return state.reason.value


class _OurLog(logging.Handler):
    """Hands on what the library says, which would not be JSON."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it as the rest of the program does; its arguments are addresses and statuses, never what a span says."""
        structlog.get_logger("extauthz").warning("traces cannot be sent", detail=record.getMessage())


def _log_as_we_do() -> None:
    logger = logging.getLogger("opentelemetry")
    logger.propagate = False
    logger.handlers = [_OurLog(level=logging.WARNING)]
