"""What tests know about an authorization server that others wrote, whichever it is."""

import json
import urllib.parse
import urllib.request
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from extauthz.cli.processes import Process
from extauthz.resolver.client import IntrospectionClient
from extauthz.resolver.client_auth import ClientAuthenticator
from extauthz.resolver.settings import ServerSettings
from support.asking import client_of, with_secret

SCOPE = "orders:read"
USER = "jdoe"
ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A client of the server."""

    id: str
    secret: str

    @property
    def basic(self) -> str:
        """The `Authorization` value; both parts are free of characters that need encoding."""
        return "Basic " + b64encode(f"{self.id}:{self.secret}".encode()).decode()


GATEWAY = Credentials(id="gateway", secret="gateway-secret-of-the-tests-of-extauthz")
"""The client that may introspect: it is us."""

APP = Credentials(id="app", secret="app-secret")
"""The client that tokens are issued to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RealServer(ABC):
    """A running server.

    Attributes:
        process: it.
        issuer: as its answers name it; None when they name none.
        jwks_uri: empty when it signs nothing.
    """

    process: Process
    issuer: str | None
    token_endpoint: str
    introspection_endpoint: str
    revocation_endpoint: str
    jwks_uri: str = ""

    def settings(self, **changes: Any) -> ServerSettings:  # noqa: ANN401 - fields of the settings
        """How we ask it; the time is for a machine that is busy with other tests."""
        usual: dict[str, Any] = {
            "name": "main",
            "introspection_endpoint": self.introspection_endpoint,
            "client_id": GATEWAY.id,
            "issuer": self.issuer,
            "timeout": ANSWER_SECONDS,
        }
        return ServerSettings(**(usual | changes))

    def client(self, authenticator: ClientAuthenticator | None = None, **changes: Any) -> IntrospectionClient:  # noqa: ANN401 - the same
        """Asks it, as the gateway unless told otherwise."""
        return client_of(self.settings(**changes), authenticator or with_secret(GATEWAY.id, GATEWAY.secret))

    def issue(self, scope: str = SCOPE, **more: str) -> str:
        """An access token of the app itself (RFC 6749 §4.4)."""
        return self.grant(grant_type="client_credentials", scope=scope, **more)

    @abstractmethod
    def issue_to(self, user: str = USER, scope: str = SCOPE) -> str:
        """An access token by which the app acts for a user."""

    @abstractmethod
    def issue_refresh(self) -> str:
        """A refresh token of the app, for the usual user and scope."""

    def revoke(self, token: str) -> None:
        """End the token's life (RFC 7009)."""
        post(self.revocation_endpoint, {"token": token}, APP)

    def grant(self, **form: str) -> str:
        """The access token that the token endpoint gives the app for this form."""
        return str(json.loads(post(self.token_endpoint, form, APP))["access_token"])


def post(url: str, form: Mapping[str, str], client: Credentials) -> bytes:
    """The body of an answer with status 200; any other one is raised."""
    body = urllib.parse.urlencode(form).encode()
    request = urllib.request.Request(url, body, {"Authorization": client.basic})  # noqa: S310 - a loopback URL of ours
    with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310 - the same
        return bytes(answer.read())
