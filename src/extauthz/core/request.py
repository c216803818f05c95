"""The question, as every door asks it."""

from typing import NamedTuple

from extauthz.core.decision import Reason


class AuthRequest(NamedTuple):
    """One request that a gateway wants judged; a tuple, because one is made for every request. Text is the raw bytes read as Latin-1: nothing is decoded yet.

    Attributes:
        door: which front door asked (`envoy`, `nginx`, `forward-auth`, ...), for logs and metrics.
        method: request method as sent.
        target: request target as sent, with its query.
        host: `Host` or `:authority` as sent; empty when the gateway gave none.
        authorization: every value of `Authorization` that arrived, in order.
        request_id: the gateway's own id for this request, for correlation only.
        added_scopes: scopes that the gateway asks for on top of the rule's.
        patience: seconds after which the gateway waits no longer; None when it did not say.
        source: the client's address as the gateway has it; empty when it did not say. No decision rests on it.
        flaw: why the door could not read the question properly; such a request is denied for that reason.
        preflight: the method that a CORS preflight announces; empty when the request is none.
        trace: the `traceparent` of the request, as sent; empty when there is none.
        route: name of the rule that decides, from a gateway that is trusted to choose it; None leaves it to the path.
    """

    door: str
    method: str
    target: str
    host: str = ""
    authorization: tuple[str, ...] = ()
    request_id: str = ""
    added_scopes: tuple[str, ...] = ()
    patience: float | None = None
    source: str = ""
    flaw: Reason | None = None
    preflight: str = ""
    trace: str = ""
    route: str | None = None

    def __repr__(self) -> str:
        return f"AuthRequest(door={self.door!r}, method={self.method!r}, request_id={self.request_id!r})"
