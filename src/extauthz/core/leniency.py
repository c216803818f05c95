"""Shapes that some authorization servers give to members of RFC 7662 §2.2, accepted only where the operator says so.

`standard_shapes` rewrites them into the standard's own, so that one strict reader serves all servers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from extauthz.core.scopes import SCOPE_TOKEN

_MAX_DIGITS = 16
"""Of a time in seconds; what is longer stays a string, which the reader refuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Leniency:
    """What one server may say otherwise than the standard.

    Attributes:
        scope_array: `scope` as a list of words.
        string_active: `active` as exactly `"true"` or `"false"`.
        string_exp: `exp` and `nbf` as strings of digits.
    """

    scope_array: bool = False
    string_active: bool = False
    string_exp: bool = False


STRICT = Leniency()
"""The standard, and nothing else."""


def standard_shapes(members: Mapping[str, Any], leniency: Leniency) -> Mapping[str, Any]:
    """The same members, with those that the leniency covers in the shape of the standard."""
    if leniency == STRICT:
        return members
    shaped = dict(members)
    if leniency.string_active and members.get("active") in ("true", "false"):
        shaped["active"] = members["active"] == "true"
    if leniency.scope_array and isinstance(members.get("scope"), list):
        shaped["scope"] = " ".join(_words(members["scope"]))
    if leniency.string_exp:
        shaped |= {name: int(members[name]) for name in ("exp", "nbf") if _is_digits(members.get(name))}
    return shaped


def _words(values: Iterable[object]) -> Iterable[str]:
    """Those that are one scope each: joined, an element with a space in it would become two."""
    return (value for value in values if isinstance(value, str) and SCOPE_TOKEN.fullmatch(value))


def _is_digits(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS
