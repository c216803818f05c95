"""JSON by RFC 8259 with no leniency: `json.loads` alone takes too much.

A member that occurs twice, `NaN`, a number beyond all bounds, an array nested without end: two programs would read
these in two ways, so here they are refused.
"""

import json
from collections.abc import Mapping
from typing import Any, Final, NoReturn


class GarbageError(ValueError):
    """Not what it should be. The message says where, and repeats nothing of it."""


def strict_object(text: bytes) -> Mapping[str, Any]:
    """The JSON object in a text.

    Raises:
        GarbageError: when it is none, or has more than one meaning.
    """
    try:
        value = _DECODER.decode(text.decode("utf-8"))
    except GarbageError:
        raise
    except UnicodeDecodeError:
        raise GarbageError("the answer is not UTF-8") from None
    except (ValueError, RecursionError):
        raise GarbageError("the answer is not JSON") from None
    if not isinstance(value, dict):
        raise GarbageError("the answer is not a JSON object")
    return value


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise GarbageError("a member occurs twice")
    return members


def _refuse(constant: str) -> NoReturn:
    raise GarbageError(f"{constant} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise GarbageError("a number is too large")
    return number


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_unique_members, parse_constant=_refuse, parse_float=_finite)
