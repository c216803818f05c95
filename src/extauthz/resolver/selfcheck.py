"""Whether a server answers us as an introspection endpoint does: tried once at the start, and watched from then on."""

from collections.abc import Callable
from typing import Final

from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Inactive, TokenState, Unavailable
from extauthz.core.token import Token
from extauthz.observe.events import Happened, Happening, Observer
from extauthz.resolver.ladder import Asks

Clock = Callable[[], float]

ALARM_TOKENS: Final = 20
"""So many different tokens must be inactive before anybody is alarmed: a few may come from one confused client."""

ALARM_SECONDS: Final = 60.0
"""And for so long at least, or a whole `ttl`: every good token in use is asked about again within that time."""


async def self_check(
    server: str, introspector: Asks[Token, Active | Inactive], token: Token, observer: Observer
) -> None:
    """Ask about a token that nobody issued, and tell what is wrong with any answer but "inactive"."""
    state = await introspector.ask(token)
    fault, reason = _fault(state), state.reason if isinstance(state, Unavailable) else None
    what = Happening.SELF_CHECK_FAILED if fault else Happening.SELF_CHECK_PASSED
    observer.happened(Happened(what=what, subject=server, detail=fault, reason=reason))


def _fault(state: TokenState) -> str:
    match state:
        case Inactive(reason=Reason.INACTIVE):
            return ""
        case Unavailable(reason=reason, detail=detail):
            return f"{reason.value}: {detail}"
        case _:
            return "the server calls a random token active: whatever it checks, it is not tokens"


class InactivityAlarm:
    """Asks like the one below it, and raises an alarm when no token is active any more.

    Some servers answer "inactive" to a client that may not introspect. The sign is this: there were active tokens, and
    since the last of them many different ones were inactive, for a time in which a good one would have turned up. The
    alarm is told once, until there is an active token again.
    """

    def __init__(
        self,
        inner: Asks[Token, Active | Inactive],
        *,
        server: str,
        ttl: float,
        observer: Observer,
        monotonic: Clock,
    ) -> None:
        self._inner = inner
        self._server = server
        self._patience = max(ttl, ALARM_SECONDS)
        self._observer = observer
        self._monotonic = monotonic
        self._active_at: float | None = None
        self._inactive: set[int] = set()

    async def ask(self, token: Token, /) -> TokenState:
        """What the server says. Never raises."""
        state = await self._inner.ask(token)
        if isinstance(state, Active):
            self._active_at = self._monotonic()
            self._inactive.clear()
        elif isinstance(state, Inactive) and self._active_at is not None:
            self._consider(token, self._active_at)
        return state

    async def close(self) -> None:
        """Close all connections."""
        await self._inner.close()

    def _consider(self, token: Token, active_at: float) -> None:
        if len(self._inactive) < ALARM_TOKENS:
            self._inactive.add(hash(token))
        quiet = self._monotonic() - active_at
        if len(self._inactive) < ALARM_TOKENS or quiet < self._patience:
            return
        detail = f"no active token for {quiet:.0f} seconds, but {ALARM_TOKENS} or more inactive ones"
        self._observer.happened(Happened(what=Happening.ALL_INACTIVE, subject=self._server, detail=detail))
        self._active_at = None
