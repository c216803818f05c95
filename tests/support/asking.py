"""What asks an authorization server, put together for tests."""

import time

from extauthz.core.introspection import MAX_ANSWER_BYTES, Active, Inactive, TokenState
from extauthz.core.token import Token
from extauthz.resolver.breaker import BreakerSettings
from extauthz.resolver.caller import Caller, configured
from extauthz.resolver.client import IntrospectionClient
from extauthz.resolver.client_auth import ClientAuthenticator, SecretAuth
from extauthz.resolver.ladder import Ladder, LadderSettings
from extauthz.resolver.metadata import Metadata
from extauthz.resolver.settings import ClientAuth, ServerSettings
from extauthz.resolver.transport import Transport
from extauthz.resolver.watched_file import Fixed
from extauthz.testing import RecordingObserver


def with_secret(client_id: str, secret: str, method: ClientAuth | None = None) -> ClientAuthenticator:
    """A client with a secret that does not change."""
    return SecretAuth(client_id, Fixed(secret), method=method)


def client_of(
    settings: ServerSettings,
    authenticator: ClientAuthenticator,
    transport: Transport | None = None,
    *,
    max_answer_bytes: int = MAX_ANSWER_BYTES,
) -> IntrospectionClient:
    """Asks the server whose endpoint the settings name."""
    server = configured(Metadata(introspection_endpoint=settings.introspection_endpoint))
    transport = transport or Transport(max_connections=settings.max_connections)
    return IntrospectionClient(settings, Caller(transport, authenticator, server, max_answer_bytes=max_answer_bytes))


def within(client: IntrospectionClient, timeout: float) -> Ladder[Token, Active | Inactive]:
    """Asks once, for so many seconds at most, however often that has failed."""
    once = LadderSettings(timeout=timeout, retries=0, circuit=BreakerSettings(failures=10_000, window=10_000))
    return Ladder(client, once, server="main", observer=RecordingObserver(), monotonic=time.monotonic)


async def ask(client: IntrospectionClient, token: str) -> TokenState:
    """One question, and the client's last."""
    try:
        return await client.ask(Token(token))
    finally:
        await client.close()
