"""Which form of an introspection answer a client asks for (RFC 9110 §12.5.1, RFC 9701 §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIGNED: Final = b"application/token-introspection+jwt"
_PLAIN: Final = b"application/json"


def wants_signed(accept: Sequence[bytes]) -> bool:
    """Whether these `Accept` headers name the signed form, and do not prefer the plain one."""
    if not any(_SIGNED in value.lower() for value in accept):
        return False
    weights = dict(map(_weighed, b",".join(accept).lower().split(b",")))
    return 0 < weights.get(_SIGNED, 0.0) >= weights.get(_PLAIN, 0.0)


def _weighed(item: bytes) -> tuple[bytes, float]:
    """A media type without parameters, and its weight; what has no such weight counts nothing."""
    kind, *parameters = (part.strip() for part in item.split(b";"))
    weight = next((part[2:] for part in parameters if part.startswith(b"q=")), b"1")
    try:
        return kind, min(max(float(weight), 0.0), 1.0)
    except ValueError:
        return kind, 0.0
