"""The question, as every door asks it."""

from dataclasses import dataclass, field

from extauthz.core.decision import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthRequest:
    """One request that a gateway wants judged. Text is the raw bytes read as Latin-1: nothing is decoded yet.

    Attributes:
        door: which front door asked (`envoy`, `nginx`), for logs and metrics.
        method: request method as sent.
        target: request target as sent, with its query.
        host: `Host` or `:authority` as sent; empty when the gateway gave none.
        authorization: every value of `Authorization` that arrived, in order.
        request_id: the gateway's own id for this request, for correlation only.
        flaw: why the door could not read the question properly; such a request is denied for that reason.
    """

    door: str
    method: str
    target: str
    host: str = ""
    authorization: tuple[str, ...] = field(default=(), repr=False)
    request_id: str = ""
    flaw: Reason | None = None
