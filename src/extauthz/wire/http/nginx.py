"""The dialect of NGINX `auth_request`: 200, 401 and 403 are all that it understands, so the truth goes in headers.

In: `X-Original-Method`, `X-Original-URI` (raw), `X-Original-Host`, `X-Original-Proto`, `X-Original-Remote-Addr`,
`X-Request-Id`, `Authorization`; ingress-nginx sends `X-Original-URL` (scheme, host and raw target in one) instead of, or
beside, the URI, and the client's address in `X-Real-IP`.
Out: the wire status below, `X-Authz-Status` (the status for the client), `X-Authz-Reason`, and the challenge where
NGINX will find it: it copies `WWW-Authenticate` from a 401 by itself and drops it from a 403, which therefore carries
`X-Authz-Challenge`.

Where it is trusted to, NGINX also names the route, `X-Authz-Route`: then the path is not consulted.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import assert_never

from extauthz.core.decision import EXPOSED, Allow, Decision, Deny, Reason
from extauthz.core.paths import canonical_host
from extauthz.core.request import AuthRequest
from extauthz.wire.http.answers import encoded
from extauthz.wire.http.metadata import Answer, Headers, Said, Vocabulary, collect, question, vocabulary

DOOR = "nginx"
PATH = b"/nginx"

_METHOD = b"x-original-method"
_URI = b"x-original-uri"
_URL = b"x-original-url"
_HOST = b"x-original-host"
_ADDRESS = b"x-original-remote-addr"
_INGRESS_ADDRESS = b"x-real-ip"
ROUTE = b"x-authz-route"
"""Names the rule that decides; read only where the operator says that NGINX writes it (`trust_route_header`)."""

METADATA = (_METHOD, _URI, _URL, _HOST, b"x-original-proto", _ADDRESS, _INGRESS_ADDRESS)

_VOCABULARY = vocabulary(METADATA)
_ABSOLUTE = re.compile(r"(?:https?|wss?)://([^/?#\\@]+)(/.*)", re.DOTALL)
_REMEMBERED_ANSWERS = 4096


def decode(headers: Iterable[tuple[bytes, bytes]], known: Vocabulary = _VOCABULARY) -> AuthRequest:
    """Read the question."""
    said = collect(headers, known)
    values = said.values
    target, host, source = values.get(_URI), values.get(_HOST, ""), values.get(_ADDRESS, "")
    if _URL in values:
        said, target, host = _with_url(said, values[_URL], target, host)
        source = values.get(_INGRESS_ADDRESS, "")
    request = question(DOOR, said, method=values.get(_METHOD), target=target, host=host, source=source)
    return request._replace(route=values[ROUTE]) if ROUTE in values else request


def _with_url(said: Said, url: str, uri: str | None, host: str) -> tuple[Said, str, str]:
    """Target and host where there is a URL: cut out as they stand, and the same as what is said beside it.

    ingress-nginx lets the client's own `X-Original-URI` and `X-Original-Host` through unless told otherwise, so it is
    never a matter of which one to believe. It names no route: that would be the client's choice as well.
    """
    match = _ABSOLUTE.fullmatch(url)
    named, target = (match[1], match[2]) if match else ("", "")
    agreed = uri in (None, target) and (not host or canonical_host(host) == canonical_host(named))
    agreed = agreed and ROUTE not in said.values
    return (said if match and agreed else said._replace(flaw=Reason.BAD_METADATA)), target, named


@lru_cache(maxsize=_REMEMBERED_ANSWERS)
def encode(decision: Decision) -> Answer:
    """The wire status and the headers; there is never a body, which would cost NGINX its connection to us."""
    match decision:
        case Allow():
            return 200, _allow(decision), b""
        case Deny():
            return _wire_status(decision), _deny(decision), b""
        case _:
            assert_never(decision)


def _allow(allow: Allow) -> Headers:
    """Every identity header once, empty where the upstream must see none: NGINX then removes the client's copy."""
    identity = [*allow.identity, *((name, "") for name in allow.absent)]
    cache = (("cache-control", f"max-age={allow.cache_seconds}"), ("vary", "Authorization"))
    return encoded(
        ("content-length", "0"),
        *(cache if allow.cache_seconds else (("cache-control", "no-store"),)),
        ("x-authz-reason", allow.reason.value),
        *identity,
    )


def _deny(deny: Deny) -> Headers:
    challenge_header = "www-authenticate" if _wire_status(deny) == 401 else "x-authz-challenge"  # noqa: PLR2004 - HTTP status
    return encoded(
        ("content-length", "0"),
        ("cache-control", "no-store"),
        ("x-authz-status", str(deny.outcome.status)),
        ("x-authz-reason", deny.reason.value),
        *(((challenge_header, deny.challenge),) if deny.challenge else ()),
        *((EXPOSED,) if deny.challenge and deny.cross_origin else ()),
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
