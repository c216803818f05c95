"""Who is calling, decided: the credentials of a request against what the client is registered with.

A refusal never tells whether the client exists, has another method or is disabled, neither by word nor by time taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from cryptography.x509 import Name
from cryptography.x509.oid import NameOID

from extauthz.authserver.assertion import prove
from extauthz.authserver.client_auth import PresentedAssertion, PresentedCertificate
from extauthz.authserver.errors import ErrorCode, OAuthError
from extauthz.authserver.store.base import AuthMethod

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from extauthz.authserver.client_auth import Credentials, Presented, SecretVerifier
    from extauthz.authserver.store.base import ClientRecord, Store


class Authenticator:
    """Proves clients. Raises ``StoreError`` if the storage fails."""

    def __init__(self, store: Store, issuer: str, wall_clock: Callable[[], float], *, verifier: SecretVerifier) -> None:
        self._store = store
        self._issuer = issuer
        self._wall_clock = wall_clock
        self._verifier = verifier

    async def authenticate(self, credentials: Credentials) -> ClientRecord:
        """Return the client that the credentials prove; raise ``invalid_client`` if they prove none."""
        client = await self._proved(credentials)
        if client is None or client.disabled_at is not None:
            raise OAuthError(ErrorCode.INVALID_CLIENT, "Client authentication failed")
        return client

    async def _proved(self, credentials: Credentials) -> ClientRecord | None:
        match credentials:
            case PresentedAssertion():
                return await self._by_assertion(credentials)
            case PresentedCertificate():
                return await self._by_certificate(credentials)
            case tuple():
                return await self._by_secret(credentials)
            case _:
                assert_never(credentials)

    async def _by_secret(self, readings: Sequence[Presented]) -> ClientRecord | None:
        claims = [(reading, await self._find(reading.client_id, AuthMethod.SECRET)) for reading in readings]
        # First what costs nothing: else the wrong reading, or a new secret, would be checked in each request before it.
        for reading, client in claims:
            if client is not None and any(self._verifier.remembers(reading.secret, it) for it in self._hashes(client)):
                return client
        for reading, client in claims:
            if await self._is_right(reading, client) and client is not None:
                return client
        return None

    async def _is_right(self, reading: Presented, client: ClientRecord | None) -> bool:
        """A wrong secret costs two checks whether or not there is an old one, or a client."""
        now_hash, old_hash = (None, None) if client is None else self._hashes(client)
        return await self._verifier.matches(
            reading.secret, now_hash, place=f"now {reading.client_id}"
        ) or await self._verifier.matches(reading.secret, old_hash, place=f"old {reading.client_id}")

    def _hashes(self, client: ClientRecord) -> tuple[str | None, str | None]:
        old = client.old_secret_hash if client.old_secret_until > self._wall_clock() else ""
        return client.secret_hash or None, old or None

    async def _by_assertion(self, presented: PresentedAssertion) -> ClientRecord | None:
        client = await self._find(presented.client_id, AuthMethod.PRIVATE_KEY_JWT)
        keys = "" if client is None else client.keys
        now = self._wall_clock()
        proved = prove(presented.assertion, keys, client_id=presented.client_id, issuer=self._issuer, now=now)
        if client is None or proved is None:
            return None
        fresh = await self._store.remember_assertion(
            proved.client_id, proved.jti, expires_at=proved.expires_at, now=int(now)
        )
        return client if fresh else None

    async def _by_certificate(self, presented: PresentedCertificate) -> ClientRecord | None:
        client = await self._find(presented.client_id, AuthMethod.TLS)
        if client is None or not same_name(client.certificate_subject, presented.subject):
            return None
        return client

    async def _find(self, client_id: str, method: AuthMethod) -> ClientRecord | None:
        if not client_id.isprintable():  # nobody is registered so, and some databases cannot even be asked
            return None
        client = await self._store.find_client(client_id)
        return client if client is not None and client.auth_method is method else None


def same_name(registered: str, presented: str) -> bool:
    """Tell whether two subjects (RFC 4514) are the same name, however their types are spelled; an empty one is no name."""
    try:
        return bool(registered) and _name(registered) == _name(presented)
    except ValueError:
        return False


def check_subject(text: str) -> None:
    """Raise ``ValueError`` for what is no name (RFC 4514): no certificate would ever match it."""
    try:
        _name(text)
    except ValueError:
        raise ValueError(f"the subject of a certificate is written like CN=app,O=Example, and not {text!r}") from None


def _name(text: str) -> Name:
    return Name.from_rfc4514_string(text, {"emailAddress": NameOID.EMAIL_ADDRESS, "EMAIL": NameOID.EMAIL_ADDRESS})
