"""Logs for the operator: start, stop, and trouble with an authorization server, told once and not per request."""

import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from extauthz.core.decision import Reason
from extauthz.observe.events import Checked, Introspected

REPEAT_SECONDS = 10.0
"""Trouble that goes on is told again this often, with the number of questions that met it."""

_ADVICE = {
    Reason.SERVER_REFUSED_US: "check client id, secret and the client's permission to introspect",
    Reason.SERVER_ANSWER_INVALID: "check that introspection_endpoint is an RFC 7662 endpoint",
    Reason.SERVER_TIMEOUT: "check the server, or raise timeout",
    Reason.SERVER_UNREACHABLE: "check the address, DNS, TLS and the network",
}


def configure(level: str, log_format: str) -> None:
    """Send logs to standard error, as JSON lines or for people (`console`)."""
    renderer: structlog.typing.Processor
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


@dataclass(slots=True)
class _Trouble:
    outcome: str
    told_at: float
    questions: int


class TroubleLog:
    """Tells when an authorization server stops answering and when it answers again."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._troubles: dict[str, _Trouble] = {}
        self._log: structlog.typing.FilteringBoundLogger = structlog.get_logger("extauthz")

    def checked(self, event: Checked) -> None:
        """Tell of a defect of our own; decisions are the audit log's business."""
        if event.fault:
            self._log.error("a check failed inside extauthz and was denied", fault=event.fault, door=event.door)

    def introspected(self, event: Introspected) -> None:
        """Tell of trouble when it begins, every ten seconds while it lasts, and when it ends."""
        trouble = self._troubles.get(event.server)
        if event.outcome in ("active", "inactive"):
            if trouble is not None:
                del self._troubles[event.server]
                self._log.info("authorization server answers again", server=event.server)
            return
        now = self._monotonic()
        if trouble is None or trouble.outcome != event.outcome:
            trouble = self._troubles[event.server] = _Trouble(event.outcome, float("-inf"), 0)
        trouble.questions += 1
        if now - trouble.told_at >= REPEAT_SECONDS:
            self._tell(event, trouble.questions)
            self._troubles[event.server] = _Trouble(event.outcome, now, 0)

    def _tell(self, event: Introspected, questions: int) -> None:
        advice = _ADVICE.get(Reason(event.outcome), "see the server's own log")
        self._log.error(
            "authorization server gives no usable answer: requests with tokens not in the cache get 503",
            server=event.server,
            reason=event.outcome,
            detail=event.detail,
            questions=questions,
            advice=advice,
        )
