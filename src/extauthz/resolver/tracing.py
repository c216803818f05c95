"""The trace that a question belongs to. It follows the question through its layers, which need not know of it."""

import secrets
from contextvars import Context, ContextVar, copy_context
from typing import Final

from extauthz.core.trace import child_of

TRACE: Final[ContextVar[str]] = ContextVar("trace", default="")
"""The `traceparent` that goes with a question, if any; of several requests that wait for one answer, the first one's child."""


def within(traceparent: str) -> Context | None:
    """The context for a task that asks for the sake of this trace; None for no trace: then any will do."""
    if not traceparent:
        return None
    context = copy_context()
    context.run(TRACE.set, child_of(traceparent, secrets.token_hex))
    return context
