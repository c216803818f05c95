"""`POST /log` on the operator's listener: how much is logged from now on, in every worker. The body is the level alone."""

from collections.abc import Callable
from typing import Final

from extauthz.wire.asgi import Receive, Scope
from extauthz.wire.ops_access import Answer, Guard, RefusedError, body_of

LEVELS: Final = ("debug", "info", "warning", "error", "configured")
"""`configured` is the level of extauthz.yaml."""


class LogDoor:
    """Reads one request. `guard` knows who may send it."""

    def __init__(self, guard: Guard, set_level: Callable[[str], None]) -> None:
        self._guard = guard
        self._set_level = set_level

    async def answer(self, scope: Scope, receive: Receive) -> Answer:
        """Carry it out, or say why not."""
        try:
            self._guard.admit(scope, "set the level")
            level = (await body_of(receive)).decode("ascii", "replace").strip()
        except RefusedError as refused:
            return refused.answer
        if level not in LEVELS:
            return Answer(400, f"send one of {', '.join(LEVELS)}")
        self._set_level(level)
        return Answer(200, level)
