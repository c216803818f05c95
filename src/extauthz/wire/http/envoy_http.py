"""The dialect of Envoy's `http_service` (also behind Istio, Envoy Gateway, Emissary and the Gateway API).

In: the request itself, its path behind our prefix: method, `Host`, raw path and query are the client's. No header can
name another one. `X-Envoy-External-Address`, if it is among the `allowed_headers`, is the client's address; the end of
`X-Forwarded-For` is Envoy's own here.
Out: exactly 200 allows. Headers that the answer does not name pass as the client sent them, so each identity header
is there once, and what must not reach the upstream is also named in `x-envoy-auth-headers-to-remove`. A 5xx is an error
to Envoy: it drops our headers and lets its own failure mode decide.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import assert_never

from extauthz.core.decision import Allow, Decision, Deny
from extauthz.core.identity import removals
from extauthz.core.request import AuthRequest
from extauthz.wire.http.answers import denial, encoded
from extauthz.wire.http.metadata import Answer, Headers, Vocabulary, collect, question, vocabulary

DOOR = "envoy-http"
PATH = b"/envoy"

_HOST = b"host"
_ADDRESS = b"x-envoy-external-address"
METADATA = (_HOST, _ADDRESS)

_VOCABULARY = vocabulary(METADATA)
_REMEMBERED_ANSWERS = 4096


def decode(
    method: str, raw_path: bytes, query: bytes, headers: Iterable[tuple[bytes, bytes]], known: Vocabulary = _VOCABULARY
) -> AuthRequest:
    """Read the question. The prefix alone is no target: the gateway was told to send all questions to one path."""
    said = collect(headers, known)
    target = raw_path.removeprefix(PATH)
    whole = target + b"?" + query if query else target
    return question(
        DOOR,
        said,
        method=method,
        target=whole.decode("latin-1") if target else None,
        host=said.values.get(_HOST, ""),
        source=said.values.get(_ADDRESS, ""),
    )


@lru_cache(maxsize=_REMEMBERED_ANSWERS)
def encode(decision: Decision) -> Answer:
    """Status, headers and body."""
    match decision:
        case Allow():
            return 200, _allow(decision), b""
        case Deny():
            return denial(decision)
        case _:
            assert_never(decision)


def _allow(allow: Allow) -> Headers:
    removed = removals((name for name, _ in allow.identity), allow.absent)
    return encoded(
        ("content-length", "0"),
        ("cache-control", "no-store"),
        *allow.identity,
        *((name, "") for name in allow.absent),
        ("x-envoy-auth-headers-to-remove", ", ".join(removed)),
    )
