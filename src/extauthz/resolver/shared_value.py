"""What one process tells the others about a token: the plain text of a value in the shared cache.

In front stands a header that Redis can read and compare: the version and when the question was asked. The rest is sealed.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Inactive
from extauthz.core.scopes import read_scope
from extauthz.core.shared import shared_names, shared_text

HEADER_BYTES: Final = 16
MAX_VALUE_BYTES: Final = 64 * 1024
"""What is larger is not shared."""

_VERSION: Final = "1"
_HEADER: Final = re.compile(rb"1([0-9]{15})")
_TEXTS: Final = ("sub", "client_id", "username", "iss", "jti")
_TIMES: Final = ("exp", "nbf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """An answer, and the position in the log of revocations that was known when its question was asked."""

    state: Active | Inactive
    position: int


def header(asked_at: float) -> bytes:
    """The front of a value; of two, the greater is the later one. `asked_at` in seconds since the epoch."""
    return f"{_VERSION}{int(asked_at * 1000):015d}".encode()


def asked_at(value: bytes) -> float | None:
    """Seconds since the epoch, or None when this is no value of this version."""
    match = _HEADER.match(value)
    return None if match is None else int(match[1]) / 1000


def encode(learnt: Learnt) -> bytes:
    """The part that is to be sealed."""
    state = learnt.state
    if isinstance(state, Inactive):
        told: dict[str, Any] = {"inactive": state.reason.value}
    else:
        told = {name: getattr(state, name) for name in (*_TEXTS, *_TIMES)}
        told |= {"scope": state.scope, "aud": state.aud, "claims": state.claims}
    return json.dumps({"position": learnt.position} | told, separators=(",", ":")).encode()


def decode(plain: bytes) -> Learnt | None:
    """What was encoded, or None when it was anything else."""
    try:
        told = json.loads(plain)
        position = _typed(told["position"], int)
        if "inactive" in told:
            return Learnt(state=Inactive(reason=Reason(told["inactive"])), position=position)
        return Learnt(state=_active(told), position=position)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _active(told: Mapping[str, Any]) -> Active:
    scopes, scope = read_scope(_typed(told["scope"], str))
    texts = {name: _typed(told[name], str, type(None)) for name in _TEXTS}
    times = {name: _typed(told[name], float, type(None)) for name in _TIMES}
    return Active(
        scope=scope,
        scopes=scopes,
        aud=shared_names(tuple(_typed(one, str) for one in _typed(told["aud"], list))),
        claims=_typed(told["claims"], dict),
        **(texts | {name: shared_text(texts[name]) for name in ("client_id", "iss")}),
        **times,
    )


def _typed(value: Any, *types: type) -> Any:  # noqa: ANN401 - one of the types
    if type(value) not in types:
        raise TypeError
    return value
