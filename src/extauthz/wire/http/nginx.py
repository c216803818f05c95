"""The dialect of NGINX `auth_request`: 200, 401 and 403 are all that it understands, so the truth goes in headers.

In: `X-Original-Method`, `X-Original-URI` (raw), `X-Original-Host`, `X-Original-Proto`, `X-Request-Id`, `Authorization`.
Out: the wire status below, `X-Authz-Status` (the status for the client), `X-Authz-Reason`, and the challenge where
NGINX will find it: it copies `WWW-Authenticate` from a 401 by itself and drops it from a 403, which therefore carries
`X-Authz-Challenge`.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import assert_never

from extauthz.core.decision import Allow, Decision, Deny, Reason
from extauthz.core.request import AuthRequest

DOOR = "nginx"
PATH = "/nginx"

_METHOD = b"x-original-method"
_URI = b"x-original-uri"
_HOST = b"x-original-host"
_METADATA = frozenset({_METHOD, _URI, _HOST, b"x-original-proto", b"x-request-id"})
_REMEMBERED_ANSWERS = 4096

Headers = tuple[tuple[bytes, bytes], ...]


def decode(headers: Iterable[tuple[bytes, bytes]]) -> AuthRequest:
    """Read the question.

    Metadata that is missing or stands twice is a flaw: the gateway's file is wrong, or a client got its copy through.
    """
    found: dict[bytes, str] = {}
    authorization: list[str] = []
    flaw: Reason | None = None
    for name, value in headers:
        if name in _METADATA:
            if name in found:
                flaw = Reason.BAD_METADATA
            found[name] = value.decode("latin-1")
        elif name == b"authorization":
            authorization.append(value.decode("latin-1"))
    if _METHOD not in found or _URI not in found:
        flaw = Reason.MISCONFIGURED_GATEWAY
    return AuthRequest(
        door=DOOR,
        method=found.get(_METHOD, ""),
        target=found.get(_URI, ""),
        host=found.get(_HOST, ""),
        authorization=tuple(authorization),
        request_id=found.get(b"x-request-id", ""),
        flaw=flaw,
    )


@lru_cache(maxsize=_REMEMBERED_ANSWERS)
def encode(decision: Decision) -> tuple[int, Headers]:
    """The wire status and the headers; there is never a body, which would cost NGINX its connection to us."""
    match decision:
        case Allow():
            return 200, _allow(decision)
        case Deny():
            return _wire_status(decision), _deny(decision)
        case _:
            assert_never(decision)


def _allow(allow: Allow) -> Headers:
    """Every identity header once, empty where the upstream must see none: NGINX then removes the client's copy."""
    identity = [*allow.identity, *((name, "") for name in allow.absent)]
    cache = (("cache-control", f"max-age={allow.cache_seconds}"), ("vary", "Authorization"))
    return _encoded(
        ("content-length", "0"),
        *(cache if allow.cache_seconds else (("cache-control", "no-store"),)),
        ("x-authz-reason", allow.reason.value),
        *identity,
    )


def _deny(deny: Deny) -> Headers:
    challenge_header = "www-authenticate" if _wire_status(deny) == 401 else "x-authz-challenge"  # noqa: PLR2004 - HTTP status
    return _encoded(
        ("content-length", "0"),
        ("cache-control", "no-store"),
        ("x-authz-status", str(deny.outcome.status)),
        ("x-authz-reason", deny.reason.value),
        *(((challenge_header, deny.challenge),) if deny.challenge else ()),
        *((("retry-after", str(deny.retry_after)),) if deny.retry_after else ()),
    )


def _wire_status(deny: Deny) -> int:
    """NGINX turns everything but 2xx, 401 and 403 into 500; a 401 must have a challenge (RFC 9110 §15.5.2)."""
    match deny.outcome.status:
        case 400 | 401 if deny.challenge:
            return 401
        case 400 | 401 | 403:
            return 403
        case _:
            return 500


def _encoded(*headers: tuple[str, str]) -> Headers:
    return tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in headers)
