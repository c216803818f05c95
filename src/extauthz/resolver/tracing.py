"""The trace that a question belongs to. It follows the question through its layers, which need not know of it."""

from contextvars import Context, ContextVar, copy_context
from typing import Final

TRACE: Final[ContextVar[str]] = ContextVar("trace", default="")
"""The `traceparent` of the request for whose sake we ask; of several that wait for one answer, the first."""


def within(traceparent: str) -> Context | None:
    """The context for a task that asks for the sake of this trace; None for no trace: then any will do."""
    if not traceparent:
        return None
    context = copy_context()
    context.run(TRACE.set, traceparent)
    return context
