"""The dialect of forward-auth (Traefik, Caddy and others): the answer to the question is the answer to the client.

In: `X-Forwarded-Method`, `X-Forwarded-Uri` (raw), `X-Forwarded-Host`, `X-Forwarded-Proto`, `X-Forwarded-For` (of which
the last address is the gateway's own word), `X-Request-Id`, `Authorization`, among all other headers of the client, which
are not read.
Out: 200 with every identity header once, or the true status with its challenge and a body.
"""

from collections.abc import Iterable
from functools import lru_cache
from typing import assert_never

from extauthz.core.decision import Allow, Decision, Deny
from extauthz.core.request import AuthRequest
from extauthz.wire.http.answers import denial, encoded
from extauthz.wire.http.metadata import FORWARDED_FOR, Answer, Vocabulary, collect, question, vocabulary

DOOR = "forward-auth"
PATH = b"/forward-auth"

_METHOD = b"x-forwarded-method"
_URI = b"x-forwarded-uri"
_HOST = b"x-forwarded-host"
METADATA = (_METHOD, _URI, _HOST, b"x-forwarded-proto", FORWARDED_FOR)

_VOCABULARY = vocabulary(METADATA)
_REMEMBERED_ANSWERS = 4096


def decode(headers: Iterable[tuple[bytes, bytes]], known: Vocabulary = _VOCABULARY) -> AuthRequest:
    """Read the question."""
    said = collect(headers, known)
    values = said.values
    source = values.get(FORWARDED_FOR, "").rpartition(",")[2].strip()
    return question(
        DOOR, said, method=values.get(_METHOD), target=values.get(_URI), host=values.get(_HOST, ""), source=source
    )


@lru_cache(maxsize=_REMEMBERED_ANSWERS)
def encode(decision: Decision) -> Answer:
    """Status, headers and body. The empty identity headers matter: gateways replace only what they receive."""
    match decision:
        case Allow():
            identity = (*decision.identity, *((name, "") for name in decision.absent))
            return 200, encoded(("content-length", "0"), ("cache-control", "no-store"), *identity), b""
        case Deny():
            return denial(decision)
        case _:
            assert_never(decision)
