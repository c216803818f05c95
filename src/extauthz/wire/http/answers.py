"""Answers for gateways that pass them on as they are: the true status, and why, in a body."""

from extauthz.core.decision import EXPOSED, Deny
from extauthz.wire.http.metadata import Answer, Headers


def encoded(*headers: tuple[str, str]) -> Headers:
    """Header lines as they go over the wire."""
    return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)


def denial(deny: Deny) -> Answer:
    """A denial for the client itself. Whoever relays all headers relays nothing here that is not meant for clients."""
    body = f'{{"error":"{deny.reason.value}"}}'.encode()
    headers = encoded(
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
        ("cache-control", "no-store"),
        ("x-authz-reason", deny.reason.value),
        *((("www-authenticate", deny.challenge),) if deny.challenge else ()),
        *((EXPOSED,) if deny.challenge and deny.cross_origin else ()),
        *((("retry-after", str(deny.retry_after)),) if deny.retry_after else ()),
    )
    return deny.outcome.status, headers, body
