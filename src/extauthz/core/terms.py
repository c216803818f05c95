"""What a request asks of an answer about its token."""

from typing import NamedTuple


class Terms(NamedTuple):
    """How old an answer may be, how long it is waited for, and for whom.

    Attributes:
        max_age: seconds since the server was asked, at most; None leaves it to the server's settings.
        max_stale: seconds beyond that while the server cannot be asked, if its settings allow as many; None likewise.
        patience: seconds after which the caller goes without. The question goes on, for the next one.
        address: the client's, to count its inactive tokens.
        trace: the request's `traceparent`.
    """

    max_age: float | None = None
    max_stale: float | None = None
    patience: float | None = None
    address: str = ""
    trace: str = ""
