"""Logs for the operator: start, stop, and trouble with an authorization server, told once and not per request."""

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from extauthz.core.decision import Reason
from extauthz.observe.events import Checked, Happened, Happening, Introspected
from extauthz.observe.seldom import Seldom

_ADVICE = {
    Reason.SERVER_REFUSED_US: "check client id, secret and the client's permission to introspect",
    Reason.SERVER_ANSWER_INVALID: "check that introspection_endpoint is an RFC 7662 endpoint",
    Reason.SERVER_TIMEOUT: "check the server, or raise timeout",
    Reason.SERVER_UNREACHABLE: "check the address, DNS, TLS and the network",
    Reason.SERVER_BUSY: "it asks for fewer questions: raise cache.ttl, or its limit for our client",
    Reason.SERVER_CIRCUIT_OPEN: "it failed too often and is left alone for a moment: see the trouble told before",
    Reason.OVERLOADED: "raise max_connections if the server can take more, else cache.ttl",
}


_EVERYTHING = structlog.make_filtering_bound_logger(logging.DEBUG)
_COUNTED_ONLY = frozenset({Happening.RETRIED, Happening.OVERLOADED, Happening.BATCHED})
TROUBLE: Mapping[Happening, str] = {
    Happening.CIRCUIT_OPENED: "the authorization server fails: it is asked again after a pause, until then answers are 503",
    Happening.RETRY_BUDGET_SPENT: "most questions fail: they are no longer repeated",
    Happening.ALL_INACTIVE: "no token is active any more: check our client id, secret and audience at the server",
    Happening.SELF_CHECK_FAILED: "check that introspection_endpoint is an RFC 7662 endpoint: it should answer a random token with active: false",
    Happening.SHARED_CACHE_DOWN: "check Redis; until it is back every process asks for itself",
    Happening.SHARED_CACHE_UNREADABLE: "entries do not open with our keys: give every process the same key file",
    Happening.SHARED_CACHE_FULL: "give Redis more memory or maxmemory-policy volatile-ttl; answers are not shared meanwhile",
    Happening.REVOCATIONS_CUT: "check what the detail names; until then answers are not shared, and a revoked token passes until its ttl",
    Happening.DISCOVERY_FAILED: "check the issuer; it is tried again",
    Happening.KEYS_UNREACHABLE: "check jwks_uri; known keys go on being used",
    Happening.SECRET_UNREADABLE: "correct the file: until then the old one stays in use, but a restart would fail",
    Happening.CERTIFICATE_NOT_VALID: "others refuse it by its dates: put a new one into the file, or set this host's clock",
    Happening.POLICY_REFUSED: "nothing has changed, the old policy stays in force: correct the files, or restart for keys that take one",
    Happening.AUDIT_FAILED: "decisions wait to be recorded: make room on the disk, or see who reads the pipe",
    Happening.CLAIM_MISMATCH: "the server says something else about a token than the token itself: it was refused",
}
"""Happenings that are trouble, each with what an operator can do about it."""


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


def set_level(level: str) -> None:
    """Leave out what is below this level from now on."""
    wrapper = structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()])
    structlog.configure(**structlog.get_config() | {"wrapper_class": wrapper})


def _tells_everything() -> bool:
    """Whether somebody asked for level debug; a command that never configured its logs did not."""
    return structlog.get_config()["wrapper_class"] is _EVERYTHING


@dataclass(slots=True)
class _Trouble:
    """What was told about one server: which kinds of late, and whether the end of it all is still to be told."""

    told: Seldom
    questions: int = 0
    open: bool = False


class TroubleLog:
    """Tells when an authorization server stops answering and when it answers again."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._troubles: dict[str, _Trouble] = {}
        self._log: structlog.typing.FilteringBoundLogger = structlog.get_logger("extauthz")

    def checked(self, event: Checked) -> None:
        """Tell of a defect of our own; decisions are the audit log's business."""
        self.record((event,))

    def record(self, events: Sequence[Checked]) -> None:
        """Likewise, of several."""
        for event in events:
            if event.fault:
                self._log.error("a check failed inside extauthz and was denied", fault=event.fault, door=event.door)

    def happened(self, event: Happened) -> None:
        """Tell it, with advice where it is trouble; what only counts is told to whoever asks for everything."""
        advice = TROUBLE.get(event.what) if event.reason is None else _advice(event.reason)
        if event.what in _COUNTED_ONLY:
            if _tells_everything():
                self._log.debug(event.what.value, subject=event.subject, detail=event.detail, count=event.count)
        elif advice is None:
            self._log.info(event.what.value, subject=event.subject, detail=event.detail)
        else:
            self._log.error(event.what.value, subject=event.subject, detail=event.detail, advice=advice)

    def introspected(self, event: Introspected) -> None:
        """Tell of trouble when it begins, every ten seconds while it lasts, and when it ends; at level debug, of each."""
        if _tells_everything():
            took_ms = round(event.took_seconds * 1000, 1)
            self._log.debug("introspected", server=event.server, outcome=event.outcome, took_ms=took_ms)
        if event.outcome in ("active", "inactive"):
            self._answered(event)
            return
        trouble = self._troubles.setdefault(event.server, _Trouble(Seldom(self._monotonic)))
        trouble.questions += 1
        if trouble.told.is_due(event.outcome):
            self._tell(event, trouble.questions)
            trouble.questions, trouble.open = 0, True

    def _answered(self, event: Introspected) -> None:
        trouble = self._troubles.get(event.server)
        if trouble is not None and trouble.open:
            trouble.open = False
            self._log.info("authorization server answers again", server=event.server)

    def _tell(self, event: Introspected, questions: int) -> None:
        self._log.error(
            "authorization server gives no usable answer: requests with tokens not in the cache get 503",
            server=event.server,
            reason=event.outcome,
            detail=event.detail,
            questions=questions,
            advice=_advice(Reason(event.outcome)),
        )


def _advice(reason: Reason) -> str:
    """What an operator can do about an authorization server that gives no answer."""
    return _ADVICE.get(reason, "see the server's own log")
