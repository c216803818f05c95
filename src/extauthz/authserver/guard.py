"""Who may ask at all: limits, before anything costly is done, and the networks of a client.

1. requests of an address
2. failures of an address and of a client, before a secret is compared; one that was right lately passes
3. the networks that the client may call from
4. requests of a client
5. tokens that it asked about and that were inactive
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from extauthz.authserver.client_auth import VERIFIED_ENTRIES
from extauthz.authserver.errors import ErrorCode, OAuthError
from extauthz.authserver.peer import counted_as, is_within
from extauthz.authserver.sliding import WINDOW_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from extauthz.authserver.client_auth import Credentials
    from extauthz.authserver.limiting import Counts
    from extauthz.authserver.peer import IPAddress, IPNetwork
    from extauthz.authserver.store.base import ClientRecord

AT_ONCE: Final = 4
"""Unproved credentials of one address that are looked at together; more would pass the limit before they have failed."""

_FAILED_CLIENT: Final = "failed-client"
_FAILED_ADDRESS: Final = "failed-address"
_INACTIVE: Final = "inactive"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardRules:
    """Limits within a minute, ``None`` for no limit, and the proxies whose word on addresses counts."""

    requests_per_client: int | None = None
    requests_per_address: int | None = None
    inactive_per_client: int | None = None
    failures_per_client: int = 30
    failures_per_address: int = 60
    trusted_proxies: tuple[IPNetwork, ...] = ()


class TooManyError(Exception):
    """A limit is reached; ``retry_after_seconds`` is when one more may be allowed."""

    def __init__(self, limit: int) -> None:
        super().__init__("too many requests")
        self.retry_after_seconds = math.ceil(WINDOW_SECONDS / limit)


class Guard:
    """Stands before authentication. What was proved is remembered as digests under a key of this process."""

    def __init__(self, rules: GuardRules, counts: Counts) -> None:
        self.rules = rules
        self._counts = counts
        self._key = secrets.token_bytes(32)
        self._proved: dict[bytes, None] = {}
        self._turnstiles: dict[str, _Turnstile] = {}

    async def admit(self, address: IPAddress | None) -> None:
        """Count a request of this address. Raises ``TooManyError``."""
        limit = self.rules.requests_per_address
        if limit is not None:
            await self._count("address", counted_as(address), limit)

    async def authenticate(
        self,
        address: IPAddress | None,
        credentials: Credentials,
        prove: Callable[[Credentials], Awaitable[ClientRecord]],
    ) -> ClientRecord:
        """Return the client that ``prove`` returns.

        Raises ``TooManyError``, and ``OAuthError`` (``invalid_client``) also for a client that calls from elsewhere than
        it may: whether its secret was right is nobody's business there.
        """
        fingerprint = self._fingerprint(address, credentials)
        if fingerprint in self._proved:
            client = await self._judged(address, credentials, fingerprint, prove)
        else:
            async with self._turn(counted_as(address)):
                if fingerprint not in self._proved:
                    await self._refuse_after_failures(address, credentials)
                client = await self._judged(address, credentials, fingerprint, prove)
        limit = self.rules.requests_per_client
        if limit is not None:
            await self._count("client", _name(client.client_id), limit)
        return client

    async def admit_question(self, client: ClientRecord) -> None:
        """Let a client ask what tokens mean, unless too many have been inactive. Raises ``TooManyError``."""
        limit = self.rules.inactive_per_client
        if limit is not None and not await self._counts.is_below(_INACTIVE, _name(client.client_id), limit):
            raise TooManyError(limit)

    async def count_inactive(self, client: ClientRecord, tokens: int) -> None:
        """Count so many inactive tokens of its question."""
        if (limit := self.rules.inactive_per_client) is not None:
            for _ in range(tokens):
                await self._counts.hit(_INACTIVE, _name(client.client_id), limit)

    async def _judged(
        self,
        address: IPAddress | None,
        credentials: Credentials,
        fingerprint: bytes,
        prove: Callable[[Credentials], Awaitable[ClientRecord]],
    ) -> ClientRecord:
        try:
            client = await prove(credentials)
            _check_network(client, address)
        except OAuthError:
            self._proved.pop(fingerprint, None)
            for kind, key, limit in self._failures(address, credentials):
                await self._counts.hit(kind, key, limit)
            raise
        self._remember(fingerprint)
        return client

    async def _refuse_after_failures(self, address: IPAddress | None, credentials: Credentials) -> None:
        for kind, key, limit in self._failures(address, credentials):
            if not await self._counts.is_below(kind, key, limit):
                raise TooManyError(limit)

    def _failures(self, address: IPAddress | None, credentials: Credentials) -> tuple[tuple[str, str, int], ...]:
        """What a failure counts for, and the limit of each."""
        return (
            (_FAILED_ADDRESS, counted_as(address), self.rules.failures_per_address),
            (_FAILED_CLIENT, _name(claimed_id(credentials)), self.rules.failures_per_client),
        )

    async def _count(self, kind: str, key: str, limit: int) -> None:
        if not await self._counts.hit(kind, key, limit):
            raise TooManyError(limit)

    @asynccontextmanager
    async def _turn(self, where: str) -> AsyncIterator[None]:
        turnstile = self._turnstiles.setdefault(where, _Turnstile())
        turnstile.users += 1
        try:
            async with turnstile.places:
                yield
        finally:
            turnstile.users -= 1
            if not turnstile.users:
                del self._turnstiles[where]

    def _fingerprint(self, address: IPAddress | None, credentials: Credentials) -> bytes:
        """Of a secret, whoever presents it; of what differs each time, its client in this network.

        Of several readings the first alone: the others can be spelled in many ways, and what one client proves must not
        push out what others have.
        """
        if isinstance(credentials, tuple):
            parts = [credentials[0].client_id, credentials[0].secret]
        else:
            parts = [type(credentials).__name__, credentials.client_id, counted_as(address)]
        text = "\0".join(parts).encode()
        return hashlib.blake2b(text, key=self._key, digest_size=16).digest()

    def _remember(self, fingerprint: bytes) -> None:
        self._proved.pop(fingerprint, None)
        if len(self._proved) >= VERIFIED_ENTRIES:
            del self._proved[next(iter(self._proved))]
        self._proved[fingerprint] = None


class _Turnstile:
    """Places for unproved credentials of one address, and how many are at it."""

    def __init__(self) -> None:
        self.places = asyncio.Semaphore(AT_ONCE)
        self.users = 0


def _check_network(client: ClientRecord, address: IPAddress | None) -> None:
    if client.networks and not is_within(address, client.networks):
        raise OAuthError(ErrorCode.INVALID_CLIENT, "Client authentication failed")


def claimed_id(credentials: Credentials) -> str:
    """The client that the credentials claim to be of."""
    return credentials[0].client_id if isinstance(credentials, tuple) else credentials.client_id


def _name(client_id: str) -> str:
    """A key of bounded length for an id that a stranger chose."""
    return hashlib.blake2b(client_id.encode(), digest_size=16).hexdigest()
