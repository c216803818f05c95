"""A token of our own as credentials: for servers whose introspection endpoint wants a bearer token (RFC 7662 §2.1)."""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from extauthz.core.decision import Reason
from extauthz.core.introspection import Answer, Unavailable
from extauthz.core.strict_json import GarbageError, strict_object
from extauthz.core.token import Token
from extauthz.resolver.client_auth import ClientAuthenticator, Credentials, form_encode
from extauthz.resolver.coalesce import SingleFlight
from extauthz.resolver.metadata import Metadata
from extauthz.resolver.transport import Transport, again_if_hung_up

ASSUMED_SECONDS = 300.0
"""Life of a token whose server does not tell it."""

MAX_SECONDS = 86_400.0
"""A token is not kept longer than this."""

SPARE_SECONDS = 30.0
"""A token is replaced this long before its end, or after four fifths of a shorter life."""

FETCH_SECONDS = 10.0
"""Total time for one request for a token; whoever waits has a deadline of their own besides."""

MIN_AGE_SECONDS = 5.0
"""A younger token that is refused is not replaced: another one would be refused too."""

_TOKEN68 = re.compile(r"[A-Za-z0-9\-._~+/]+=*")

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A token for ourselves, and its life in seconds."""

    token: Token
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    granted: Granted
    since: float


class BearerAuth(ClientAuthenticator):
    """Gets a token by the client credentials grant (RFC 6749 §4.4), keeps it, and replaces it shortly before its end.

    Args:
        client: proves who we are at the token endpoint.
        transport: shared with whoever asks the server; not closed here.
        scope: what we ask for; empty leaves it to the server.
    """

    def __init__(self, client: ClientAuthenticator, transport: Transport, *, scope: str, monotonic: Clock) -> None:
        self._client = client
        self._transport = transport
        self._form = "grant_type=client_credentials" + (f"&scope={form_encode(scope)}" if scope else "")
        self._monotonic = monotonic
        self._held: _Held | None = None
        self._flights: SingleFlight[Granted | Unavailable] = SingleFlight()

    async def credentials(self, server: Metadata) -> Credentials | Unavailable:
        """Our token. Callers at the same time share one request for it; one that gives up disturbs nobody."""
        held = self._held
        if held is not None and self._monotonic() < held.since + _usable_seconds(held.granted):
            return _bearer(held.granted)
        now = self._monotonic()
        granted = await self._flights.run(b"", lambda: self._fetch(server), now=now, newer_than=float("-inf"))
        return granted if isinstance(granted, Unavailable) else _bearer(granted)

    async def _fetch(self, server: Metadata) -> Granted | Unavailable:
        asked_at = self._monotonic()
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                granted = await again_if_hung_up(lambda: self._ask(server))
        except TimeoutError:
            return Unavailable(reason=Reason.SERVER_TIMEOUT, detail="token endpoint: no answer in time")
        except Exception as error:  # noqa: BLE001 - whatever the network does: a flight must not raise
            detail = f"token endpoint: {type(error).__name__}: {error}"[:200]
            return Unavailable(reason=Reason.SERVER_UNREACHABLE, detail=detail)
        if isinstance(granted, Granted):
            self._held = _Held(granted=granted, since=asked_at)
        return granted

    async def _ask(self, server: Metadata) -> Granted | Unavailable:
        credentials = await self._client.credentials(server)
        if isinstance(credentials, Unavailable):
            return credentials
        form = self._form + credentials.form
        return read_grant(await self._transport.post(server.token_endpoint, form, credentials.authorization))

    def renew(self) -> bool:
        """Drop a token that is refused, unless it is brand-new."""
        changed = self._client.renew()
        if self._held is None or self._monotonic() - self._held.since < MIN_AGE_SECONDS:
            return changed
        self._held = None
        return True

    async def close(self) -> None:
        """End a request that is still running."""
        await self._flights.close()
        await self._client.close()


def read_grant(answer: Answer) -> Granted | Unavailable:
    """The token in the answer of a token endpoint (RFC 6749 §5.1), or why there is none."""
    if answer.status != HTTPStatus.OK:
        return _trouble(answer.status)
    try:
        return _granted(strict_object(answer.body))
    except GarbageError as garbage:
        return Unavailable(reason=Reason.SERVER_ANSWER_INVALID, detail=f"token endpoint: {garbage}")


def _granted(members: Mapping[str, Any]) -> Granted:
    token, kind = members.get("access_token"), members.get("token_type")
    if not isinstance(token, str) or _TOKEN68.fullmatch(token) is None:
        raise GarbageError("no access_token that a header can carry")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise GarbageError("token_type is not Bearer")
    return Granted(token=Token(token), seconds=_seconds(members.get("expires_in")))


def _trouble(status: int) -> Unavailable:
    detail = f"token endpoint: status {status}"
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        detail += ": check the client id, its secret or key, and its scope"
        return Unavailable(reason=Reason.SERVER_REFUSED_US, detail=detail)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Unavailable(reason=Reason.SERVER_BUSY, detail=detail)
    failed = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return Unavailable(reason=Reason.SERVER_ERROR if failed else Reason.SERVER_ANSWER_INVALID, detail=detail)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return ASSUMED_SECONDS
    return float(min(value, MAX_SECONDS))


def _usable_seconds(granted: Granted) -> float:
    return max(granted.seconds - SPARE_SECONDS, granted.seconds * 0.8)


def _bearer(granted: Granted) -> Credentials:
    return Credentials(authorization=f"Bearer {granted.token.reveal()}")
