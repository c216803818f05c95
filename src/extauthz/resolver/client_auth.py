"""Client authentication towards the authorization server: what a request carries to prove who we are."""

import hashlib
import hmac
from abc import ABC, abstractmethod
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import orjson

from extauthz.core.introspection import Unavailable
from extauthz.resolver.metadata import Metadata
from extauthz.resolver.settings import AssertionSettings, ClientAuth
from extauthz.resolver.watched_file import Current

if TYPE_CHECKING:
    from extauthz.signatures import PrivateKey

ASSERTION_SECONDS: Final = 60
"""How long a client assertion may be used; each is used once."""

_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_HMAC_ALGORITHMS: Final = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What one request carries: an `Authorization` value, form parameters with `&` before each, or neither."""

    authorization: str = field(default="", repr=False)
    form: str = field(default="", repr=False)


class ClientAuthenticator(ABC):
    """Proves who we are to one authorization server."""

    @abstractmethod
    async def credentials(self, server: Metadata) -> Credentials | Unavailable:
        """For one request. Must not raise."""

    def renew(self) -> bool:
        """The server has refused what we sent: whether there is something else to send now."""
        return False

    async def close(self) -> None:  # noqa: B027 - most have nothing to end
        """End what is still running."""


class NoCredentials(ClientAuthenticator):
    """For a server that asks for none, such as the administrative port of Ory Hydra."""

    async def credentials(self, server: Metadata) -> Credentials | Unavailable:  # noqa: ARG002 - of the interface
        """Nothing."""
        return Credentials()


class CertificateAuth(ClientAuthenticator):
    """The certificate of the connection says who we are (RFC 8705 §2); the form says as which client."""

    def __init__(self, client_id: str) -> None:
        self._credentials = Credentials(form=f"&client_id={form_encode(client_id)}")

    async def credentials(self, server: Metadata) -> Credentials | Unavailable:  # noqa: ARG002 - of the interface
        """The client's id."""
        return self._credentials


class SecretAuth(ClientAuthenticator):
    """A shared secret, in the header or in the form, never in both (RFC 6749 §2.3.1).

    Args:
        client_id: who we are.
        secret: shown nowhere.
        method: basic or post; None takes post where the server's metadata offers that and not basic.
        raw: leave out the form encoding of id and secret that the standard asks for and some servers do not undo.
    """

    def __init__(
        self, client_id: str, secret: Current[str], *, method: ClientAuth | None = None, raw: bool = False
    ) -> None:
        self._client_id = client_id
        self._secret = secret
        self._method = method
        self._raw = raw
        self._last: tuple[ClientAuth, str, Credentials] | None = None

    async def credentials(self, server: Metadata) -> Credentials | Unavailable:
        """Id and secret; written anew only when something has changed."""
        method, secret = self._method or _offered(server), self._secret()
        if self._last is None or self._last[:2] != (method, secret):
            self._last = method, secret, self._written(method, secret)
        return self._last[2]

    def _written(self, method: ClientAuth, secret: str) -> Credentials:
        if method is ClientAuth.POST:
            return Credentials(form=post_fields(self._client_id, secret))
        return Credentials(authorization=basic_header(self._client_id, secret, raw=self._raw))

    def renew(self) -> bool:
        """Whether the secret has just been changed."""
        return self._secret.look()


class AssertionAuth(ClientAuthenticator):
    """A JWT that we sign, for one use (RFC 7521, RFC 7523): with the shared secret, or with a private key."""

    def __init__(
        self,
        client_id: str,
        key: "Current[str | PrivateKey]",
        settings: AssertionSettings,
        *,
        wall: Clock,
        unique: Callable[[], str],
    ) -> None:
        self._client_id = client_id
        self._key = key
        self._settings = settings
        self._wall = wall
        self._unique = unique

    async def credentials(self, server: Metadata) -> Credentials | Unavailable:  # noqa: ARG002 - of the interface
        """A fresh assertion."""
        assertion = sign_assertion(self._client_id, self._key(), self._settings, now=self._wall(), jti=self._unique())
        return Credentials(
            form=f"&client_id={form_encode(self._client_id)}"
            f"&client_assertion_type={form_encode(_ASSERTION_TYPE)}&client_assertion={assertion}"
        )

    def renew(self) -> bool:
        """Whether the key has just been changed."""
        return self._key.look()


def sign_assertion(
    client_id: str, key: "str | PrivateKey", settings: AssertionSettings, *, now: float, jti: str
) -> str:
    """A client assertion: `iss` and `sub` are the client, `aud` is one text and no list, and it lives for a minute."""
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": settings.audience,
        "jti": jti,
        "iat": int(now),
        "exp": int(now) + ASSERTION_SECONDS,
    }
    headers = {"typ": settings.kind} | ({"kid": settings.key_id} if settings.key_id else {})
    if isinstance(key, str):
        return _sign_with_secret(headers, claims, key, settings.algorithm or "HS256")
    from extauthz.signatures import sign_jwt  # noqa: PLC0415 - as that module says

    return sign_jwt(claims, key, settings.algorithm, headers)


def _sign_with_secret(headers: dict[str, str], claims: dict[str, object], secret: str, algorithm: str) -> str:
    parts = [orjson.dumps(part) for part in (headers | {"alg": algorithm}, claims)]
    text = b".".join(urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = hmac.digest(secret.encode(), text, _HMAC_ALGORITHMS[algorithm])
    return b".".join((text, urlsafe_b64encode(signature).rstrip(b"="))).decode()


def _offered(server: Metadata) -> ClientAuth:
    """Basic, which every server must know, unless this one says that it takes the form alone."""
    offers_basic = ClientAuth.BASIC in server.auth_methods or ClientAuth.POST not in server.auth_methods
    return ClientAuth.BASIC if offers_basic else ClientAuth.POST


def basic_header(client_id: str, secret: str, *, raw: bool = False) -> str:
    """The `Authorization` value for `client_secret_basic`.

    Id and secret are form-encoded before they are joined (RFC 6749 §2.3.1). A space becomes `%20`: servers
    differ in how they read `+`, and all read `%20` alike.
    """
    pair = f"{client_id}:{secret}" if raw else f"{form_encode(client_id)}:{form_encode(secret)}"
    return "Basic " + b64encode(pair.encode()).decode()


def post_fields(client_id: str, secret: str) -> str:
    """Form parameters for `client_secret_post`."""
    return f"&client_id={form_encode(client_id)}&client_secret={form_encode(secret)}"


def form_encode(text: str) -> str:
    """Percent-encode for `application/x-www-form-urlencoded`; safe for every character."""
    return quote(text, safe="")
