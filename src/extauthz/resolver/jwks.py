"""The keys by which an authorization server signs (RFC 7517): fetched seldom, kept through outages.

A token never makes us fetch anything but the one document that the configuration or the server's metadata names, and that
no more often than every ten seconds. What a token says about keys of its own (`jwk`, `jku`, `x5u`, `x5c`) is not looked at.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, Protocol

from extauthz.core.decision import Reason
from extauthz.core.introspection import Unavailable
from extauthz.core.strict_json import GarbageError
from extauthz.jwk_set import KeySet, read_jwks
from extauthz.observe.events import Happened, Happening, Observer
from extauthz.resolver.caller import Known
from extauthz.resolver.coalesce import SingleFlight
from extauthz.resolver.transport import Transport
from extauthz.resolver.watched_file import Current

REFRESH_SECONDS: Final = 300.0
"""Older keys are fetched again, while they go on being used."""

MIN_SECONDS: Final = 10.0
"""While there are keys, no two requests for them are closer to each other, whatever tokens come."""

RETRY_SECONDS: Final = 1.0
"""While there are none, likewise."""

MAX_AGE_SECONDS: Final = 86_400.0
"""Keys that could not be fetched again for so long are not used any more."""

FETCH_SECONDS: Final = 5.0
"""Total time for one document."""

Clock = Callable[[], float]


class Keys(Protocol):
    """Gives the keys of one issuer."""

    async def current(self) -> KeySet | Unavailable:
        """The keys, or why there are none. Must not raise."""

    async def renewed(self) -> KeySet | Unavailable:
        """The keys after a look whether there are others, because a token names an unknown one. Must not raise."""

    async def close(self) -> None:
        """End what is still running."""


class FileKeys:
    """Keys that the operator keeps in a file."""

    def __init__(self, keys: Current[KeySet]) -> None:
        self._keys = keys

    async def current(self) -> KeySet | Unavailable:
        """The keys in the file."""
        return self._keys()

    async def renewed(self) -> KeySet | Unavailable:
        """The keys in the file, which may just have been changed."""
        self._keys.look()
        return self._keys()

    async def close(self) -> None:
        """Nothing runs."""


class FetchedKeys:
    """Keys that the server publishes.

    Args:
        server: its name.
        known: where its keys are.
        transport: shared with whoever asks the server; closed with the keys.
    """

    def __init__(
        self, server: str, known: Known, transport: Transport, *, observer: Observer, monotonic: Clock
    ) -> None:
        self._server = server
        self._known = known
        self._transport = transport
        self._observer = observer
        self._monotonic = monotonic
        self._keys: KeySet | None = None
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._trouble: Unavailable | None = None
        self._flights: SingleFlight[None] = SingleFlight()
        self._refreshing: asyncio.Task[None] | None = None

    async def current(self) -> KeySet | Unavailable:
        """The keys; those of the last time while newer ones are fetched in the background."""
        age = self._monotonic() - self._fetched_at
        if age >= MAX_AGE_SECONDS:
            self._keys = None
        if self._keys is None:
            await self._fetch()
        elif age >= REFRESH_SECONDS and self._may_try() and not self._is_refreshing():
            self._refreshing = asyncio.create_task(self._fetch())
        return self._told()

    async def renewed(self) -> KeySet | Unavailable:
        """The keys after another fetch, unless the last one was just now.

        A server that could not be asked may have the key: that is trouble, and no verdict about the token.
        """
        await self._fetch()
        return self._told() if self._trouble is None else self._trouble

    def _told(self) -> KeySet | Unavailable:
        if self._keys is not None:
            return self._keys
        return self._trouble or Unavailable(reason=Reason.SERVER_UNREACHABLE, detail="keys: not fetched yet")

    def _may_try(self) -> bool:
        return self._monotonic() - self._tried_at >= (RETRY_SECONDS if self._keys is None else MIN_SECONDS)

    def _is_refreshing(self) -> bool:
        return self._refreshing is not None and not self._refreshing.done()

    async def _fetch(self) -> None:
        """Fetch, together with others who want it, unless that was just done."""
        if len(self._flights) or self._may_try():
            now = self._monotonic()
            await self._flights.run(b"", self._fetch_now, now=now, newer_than=float("-inf"))

    async def _fetch_now(self) -> None:
        server = self._known()
        if isinstance(server, Unavailable):  # nothing was tried
            self._trouble = server
            return
        self._tried_at = self._monotonic()
        found = await self._read(server.jwks_uri)
        if isinstance(found, Unavailable):
            self._trouble = found
            self._tell(Happening.KEYS_UNREACHABLE, found.detail)
            return
        changed = found != self._keys
        self._keys, self._fetched_at, self._trouble = found, self._tried_at, None
        if changed:
            self._tell(Happening.KEYS_REFRESHED, f"{len(found.keys)} usable keys")

    async def _read(self, url: str) -> KeySet | Unavailable:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                answer = await self._transport.get(url)
        except TimeoutError:
            return Unavailable(reason=Reason.SERVER_TIMEOUT, detail=f"keys: no answer within {FETCH_SECONDS:g} seconds")
        except Exception as error:  # noqa: BLE001 - whatever the network does: a flight must not raise
            return Unavailable(reason=Reason.SERVER_UNREACHABLE, detail=f"keys: {type(error).__name__}")
        if answer.status != HTTPStatus.OK:
            return Unavailable(reason=Reason.SERVER_ERROR, detail=f"keys: status {answer.status}")
        try:
            return read_jwks(answer.body)
        except GarbageError as garbage:
            return Unavailable(reason=Reason.SERVER_ANSWER_INVALID, detail=f"keys: {garbage}")

    def _tell(self, what: Happening, detail: str) -> None:
        self._observer.happened(Happened(what=what, subject=self._server, detail=detail))

    async def close(self) -> None:
        """End a fetch that is still running, and close all connections."""
        await self._flights.close()
        if self._refreshing is not None:
            await asyncio.gather(self._refreshing, return_exceptions=True)
        await self._transport.close()
