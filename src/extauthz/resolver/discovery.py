"""Finding out where an authorization server is asked, from its issuer alone (RFC 8414), and keeping up with changes.

What is configured always wins. What was once known stays known: a server whose metadata cannot be had for a while is
still asked where it was.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from extauthz.core.decision import Reason
from extauthz.core.introspection import Unavailable
from extauthz.core.strict_json import GarbageError
from extauthz.observe.events import Happened, Happening, Observer
from extauthz.resolver.metadata import Expected, Metadata, metadata_urls, read_metadata
from extauthz.resolver.transport import Transport

REFRESH_SECONDS: Final = 3600.0
"""How often metadata is read again."""

FIRST_RETRY_SECONDS: Final = 1.0
LAST_RETRY_SECONDS: Final = 60.0
"""After a failure it is tried again, first soon, then ever later, up to this."""

FETCH_SECONDS: Final = 5.0
"""Total time for one document."""

Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trouble:
    """Why there is no metadata at one place; a document that cannot be used tells more than none."""

    detail: str
    document: bool = False


class Discovery:
    """Knows one server, as `caller.Known` asks for.

    Args:
        server: its name.
        expected: how its metadata is read.
        configured: what the file says.
        transport: shared with whoever asks the server; not closed here.
        random: between 0 and 1, so that many processes do not ask at the same moment.
        sleep: waits for seconds.

    Attributes:
        found: set once enough is known to ask the server.
    """

    def __init__(
        self,
        server: str,
        expected: Expected,
        configured: Metadata,
        transport: Transport,
        *,
        observer: Observer,
        random: Callable[[], float],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._server = server
        self._expected = expected
        self._configured = configured
        self._transport = transport
        self._observer = observer
        self._random = random
        self._sleep = sleep
        self._metadata: Metadata | None = None
        self._known: Metadata | Unavailable = _unknown("not asked for yet") if expected.needed else configured
        self.found = asyncio.Event()
        if not expected.needed:
            self.found.set()

    def __call__(self) -> Metadata | Unavailable:
        """What we know of the server now, or why we do not know enough."""
        return self._known

    async def run(self) -> None:
        """Find out, and again every hour; after a failure sooner. Never ends by itself."""
        delay = FIRST_RETRY_SECONDS
        while True:
            if await self.refresh():
                delay = FIRST_RETRY_SECONDS
                await self._sleep(REFRESH_SECONDS * (0.9 + 0.2 * self._random()))
            else:
                await self._sleep(delay * (0.5 + 0.5 * self._random()))
                delay = min(delay * 2, LAST_RETRY_SECONDS)

    async def refresh(self) -> bool:
        """Read the metadata from the first place that has it; False when none does."""
        troubles = []
        for url in metadata_urls(self._expected.issuer):
            found = await self._fetch(url)
            if isinstance(found, Metadata):
                self._take(found)
                return True
            troubles.append(found)
        self._fail(max(troubles, key=lambda trouble: trouble.document).detail)
        return False

    async def _fetch(self, url: str) -> Metadata | _Trouble:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                answer = await self._transport.get(url)
        except TimeoutError:
            return _Trouble(detail=f"{url}: no answer within {FETCH_SECONDS:g} seconds")
        except Exception as error:  # noqa: BLE001 - whatever the network does, it is tried again
            return _Trouble(detail=f"{url}: {type(error).__name__}")
        if answer.status != HTTPStatus.OK:
            return _Trouble(detail=f"{url}: status {answer.status}")
        try:
            return read_metadata(answer.body, self._expected)
        except GarbageError as garbage:
            return _Trouble(detail=f"{url}: {garbage}", document=True)

    def _take(self, found: Metadata) -> None:
        if found != self._metadata:
            self._metadata = found
            self._known = self._configured.or_else(found)
            self.found.set()
            self._tell(Happening.DISCOVERED, self._known.introspection_endpoint or self._known.jwks_uri)

    def _fail(self, trouble: str) -> None:
        self._tell(Happening.DISCOVERY_FAILED, trouble)
        if isinstance(self._known, Unavailable):
            self._known = _unknown(trouble)

    def _tell(self, what: Happening, detail: str) -> None:
        self._observer.happened(Happened(what=what, subject=self._server, detail=detail))


def _unknown(why: str) -> Unavailable:
    return Unavailable(reason=Reason.SERVER_UNREACHABLE, detail=f"the server's metadata is not known: {why}"[:300])
