"""`POST /revoke` on the operator's listener: tokens, subjects and clients that are to be forgotten at once.

1. may it     without a token in the configuration nobody may; with one, whoever shows it
2. read       a form or JSON, small, and nothing in it that we do not know
3. revoke     here, and in the log that other processes read
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, cast
from urllib.parse import parse_qs

from extauthz.wire.asgi import Receive, Scope
from extauthz.wire.ops_access import Answer, Guard, RefusedError, body_of

MAX_NAMES: Final = 1000
KINDS: Final = ("token", "jti", "sub", "client_id")

Name = tuple[str, str]
"""A kind and a name of that kind; of kind `all` the name is empty."""

Revoke = Callable[[Sequence[Name]], Awaitable[bool]]
"""Forgets; False when other processes could not be told yet."""


class RevokeDoor:
    """Reads one request. `guard` knows who may send it."""

    def __init__(self, guard: Guard, revoke: Revoke) -> None:
        self._guard = guard
        self._revoke = revoke

    async def answer(self, scope: Scope, receive: Receive) -> Answer:
        """Carry it out, or say why not."""
        try:
            headers = self._guard.admit(scope, "revoke")  # 1
            names = _names(headers.get(b"content-type", b""), await body_of(receive))  # 2
        except RefusedError as refused:
            return refused.answer
        if await self._revoke(names):  # 3
            return Answer(200, "revoked")
        return Answer(503, "revoked in this process; the others are told later", ((b"retry-after", b"1"),))


def _names(content_type: bytes, body: bytes) -> Sequence[Name]:
    media_type = content_type.partition(b";")[0].strip().lower()
    try:
        match media_type:
            case b"application/json":
                members = _members(json.loads(body))
            case b"application/x-www-form-urlencoded":
                members = parse_qs(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict")
            case _:
                raise RefusedError(415, "send application/x-www-form-urlencoded or application/json")
    except (ValueError, RecursionError):
        raise RefusedError(400, "this is not well-formed") from None
    names = [name for kind, values in members.items() for name in _of_kind(kind, values)]
    if not 0 < len(names) <= MAX_NAMES:
        raise RefusedError(400, f"name what to revoke, at most {MAX_NAMES} at once: {', '.join(KINDS)}, or all=true")
    return names


def _members(value: Any) -> Mapping[str, Sequence[str]]:  # noqa: ANN401 - whatever JSON has
    """An object whose values are texts or lists of texts; `all` may be true."""
    members = value.items() if isinstance(value, dict) else [("", None)]
    lists = {kind: one if isinstance(one, list) else ["true" if one is True else one] for kind, one in members}
    if not all(isinstance(one, str) for many in lists.values() for one in many):
        raise ValueError("not an object of texts")
    return cast("Mapping[str, Sequence[str]]", lists)


def _of_kind(kind: str, values: Sequence[str]) -> Sequence[Name]:
    if kind == "all" and list(values) == ["true"]:
        return [("all", "")]
    if kind not in KINDS:
        raise RefusedError(400, f"known here are {', '.join(KINDS)} and all=true")
    if not all(value and value.isprintable() for value in values):
        raise RefusedError(400, f"a {kind} is one or more printable characters")
    return [(kind, value) for value in values]
