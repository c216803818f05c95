"""The composition of what asks one authorization server: connections, credentials, and the client that uses both."""

import asyncio
import random
import secrets
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from extauthz.config.credentials import WITH_CERTIFICATE, WITHOUT_ANYTHING, Client
from extauthz.config.files import tls_files
from extauthz.config.secret import Secret
from extauthz.config.service_schema import AuthorizationServer
from extauthz.core.introspection import MAX_ANSWER_BYTES
from extauthz.core.leniency import Leniency
from extauthz.jwk_set import read_jwks_file
from extauthz.keyfiles import TlsFiles, check_hmac_secret, read_secret, tls_context
from extauthz.observe.certificates import Certificates, Use
from extauthz.observe.events import Observer
from extauthz.resolver.caller import Caller, Known, configured, introspection
from extauthz.resolver.client_auth import (
    AssertionAuth,
    CertificateAuth,
    ClientAuthenticator,
    NoCredentials,
    SecretAuth,
)
from extauthz.resolver.client_token import BearerAuth
from extauthz.resolver.discovery import Discovery
from extauthz.resolver.jwks import FetchedKeys, FileKeys, Keys
from extauthz.resolver.jwt import JwtJudge, JwtSettings
from extauthz.resolver.jwt_verifier import JwtVerifier
from extauthz.resolver.metadata import Expected, Metadata
from extauthz.resolver.select import Marks
from extauthz.resolver.settings import AssertionSettings, ClientAuth, ServerSettings
from extauthz.resolver.transport import Transport
from extauthz.resolver.watched_file import LOOK_SECONDS, Current, Fixed, Watched

if TYPE_CHECKING:
    from extauthz.signatures import PrivateKey

T = TypeVar("T")


def server_settings(name: str, server: AuthorizationServer) -> ServerSettings:
    """How a server is asked, as the file has it."""
    return ServerSettings(
        name=name,
        introspection_endpoint=server.introspection_endpoint or "",
        client_id="" if server.client is None else server.client.id or "",
        issuer=server.issuer,
        token_type_hint="" if server.token_type_hint == "none" else server.token_type_hint,  # noqa: S105 - a hint
        leniency=Leniency(**server.compat.model_dump(exclude={"require_token_type"})),
        token_type_required=server.compat.require_token_type,
        timeout=server.timeout,
        max_connections=server.max_connections,
        ttl=server.cache.ttl,
        negative_ttl=server.cache.negative_ttl,
        stale_if_error=server.cache.stale_if_error,
        max_entries=server.cache.max_entries,
        mode=server.mode,
        max_bytes=server.cache.max_bytes,
    )


class ServerParts:
    """Makes the parts of one server.

    Args:
        name: as the policy calls it.
        server: the file's section about it.
        secret: the client secret, if it has one; read again from its file if it comes from one.
        folder: what paths in the section are relative to.
        certificates: is told of the one that we show there.

    Attributes:
        server: the file's section about it.
        settings: how it is asked.
        transport: its connections.
        known: what we know of it now.
        discovery: what finds that out, if something must.
    """

    def __init__(
        self,
        name: str,
        server: AuthorizationServer,
        observer: Observer,
        *,
        secret: Secret | None,
        folder: Path,
        certificates: Certificates | None = None,
    ) -> None:
        self.server = server
        self._client = self.server.client or Client(auth="none")
        self._secret_now = secret
        self._folder = folder
        self._observer = observer
        self._certificates = certificates
        self.settings = server_settings(name, self.server)
        self._tls = self._tls_of_file()
        self.transport = Transport(max_connections=self.server.max_connections, tls=self._tls)
        self.discovery = self._discovery() if self.server.discovery else None
        self.known: Known = self.discovery or configured(self._configured())

    def caller(
        self, endpoint: Callable[[Metadata], str] = introspection, *, max_answer_bytes: int = MAX_ANSWER_BYTES
    ) -> Caller:
        """What posts to the server as the client that we are there."""
        return Caller(
            self.transport, self.authenticator(), self.known, endpoint=endpoint, max_answer_bytes=max_answer_bytes
        )

    @cached_property
    def verifier(self) -> JwtVerifier:
        """What judges the server's JWTs."""
        if self.server.mode != "introspect":
            import_module("extauthz.signatures")  # now, and not while the first request waits
        jwt = self.server.jwt
        settings = JwtSettings(
            issuer=self.server.issuer or "",
            algorithms=jwt.algorithms,
            types=tuple(kind.lower() for kind in jwt.types),
            audience=jwt.audience,
            scope_claims=jwt.scope_claims,
            leeway=self.server.leeway,
            leniency=self.settings.leniency,
        )
        return JwtVerifier(JwtJudge(settings), self._keys(), wall=time.time, patience=self.server.timeout)

    def _keys(self) -> Keys:
        if self.server.jwt.jwks_file is not None:
            path = self._folder / self.server.jwt.jwks_file
            return FileKeys(self._watched((path,), lambda: read_jwks_file(path)))
        return FetchedKeys(
            self.settings.name, self.known, self.transport, observer=self._observer, monotonic=time.monotonic
        )

    def marks(self) -> Marks:
        """What tells its tokens from those of others."""
        tokens = self.server.tokens
        return Marks(prefix=tokens.prefix or "", issuer=self.server.issuer or "", opaque=tokens.opaque)

    def background(self) -> Iterator[Callable[[], Coroutine[None, None, None]]]:
        """What runs beside the requests: finding out where the server is asked, and having its keys before a token comes, and a new certificate of ours."""
        if self.discovery is not None:
            yield self.discovery.run
        if self.server.mode != "introspect":
            yield self._fetch_keys
        if self._certificates is not None and self.server.tls.certificate is not None:
            yield self.follow_certificate

    async def _fetch_keys(self) -> None:
        await self.found()
        await self.verifier.prepare()

    async def follow_certificate(self, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        """Look for a new one until cancelled, also while nothing is asked: else the end of the old one goes on being told."""
        while self._tls is not None:
            await sleep(LOOK_SECONDS)
            self._tls.look()

    async def found(self) -> None:
        """Return once it is known where the server is asked."""
        if self.discovery is not None:
            await self.discovery.found.wait()

    def _configured(self) -> Metadata:
        return Metadata(
            introspection_endpoint=self.server.introspection_endpoint or "",
            token_endpoint=self._client.token.endpoint or "",
            jwks_uri=self.server.jwt.jwks_uri or "",
        )

    def _discovery(self) -> Discovery:
        issuer, ours = self.server.issuer or "", self._configured()
        wanted = {
            "introspection_endpoint": self.server.client is not None,
            "token_endpoint": self._client.auth == "bearer",
            "jwks_uri": self.server.mode != "introspect" and self.server.jwt.jwks_file is None,
        }
        needed = tuple(name for name, is_wanted in wanted.items() if is_wanted and not getattr(ours, name))
        expected = Expected(
            issuer=issuer,
            plain_http=self.server.unsafe_allow_plain_http,
            certificate=self._client.method in WITH_CERTIFICATE,
            needed=needed,
        )
        return Discovery(
            self.settings.name, expected, ours, self.transport, observer=self._observer, random=random.random
        )

    def authenticator(self) -> ClientAuthenticator:
        """What proves who we are."""
        client = self._client
        own = self._method(client)
        if client.auth != "bearer":
            return own
        return BearerAuth(own, self.transport, scope=client.token.scope or "", monotonic=time.monotonic)

    def _method(self, client: Client) -> ClientAuthenticator:
        """How we prove who we are, at the introspection endpoint or at the token endpoint."""
        name = client.id or ""
        if client.auth in WITHOUT_ANYTHING:
            return NoCredentials()
        match None if client.method is None else ClientAuth(client.method):
            case ClientAuth.TLS | ClientAuth.SELF_SIGNED_TLS:
                return CertificateAuth(name)
            case ClientAuth.PRIVATE_KEY_JWT:
                return self._assertion(client, self._key(client))
            case ClientAuth.SECRET_JWT:
                return self._assertion(client, self._secret(client, check_hmac_secret))
            case method:
                secret = self._secret(client, lambda text: text)
                return SecretAuth(name, secret, method=method, raw=client.basic_encoding == "raw")

    def _assertion(self, client: Client, key: "Current[str | PrivateKey]") -> AssertionAuth:
        how = AssertionSettings(
            audience=client.assertion.audience or self.server.issuer or "",
            algorithm=client.assertion.algorithm or "",
            key_id=client.assertion.key_id or "",
            kind=client.assertion.type,
        )
        return AssertionAuth(client.id or "", key, how, wall=time.time, unique=lambda: secrets.token_urlsafe(16))

    def _secret(self, client: Client, check: Callable[[str], str]) -> Current[str]:
        if client.secret is None or client.secret.file is None:
            return Fixed("" if self._secret_now is None else self._secret_now.reveal())
        path = self._folder / client.secret.file
        return self._watched((path,), lambda: check(read_secret(path)))

    def _key(self, client: Client) -> "Current[PrivateKey]":
        from extauthz.signatures import read_private_key  # noqa: PLC0415 - as that module says

        path = self._folder / ("" if client.key is None else client.key.file)
        algorithm = client.assertion.algorithm or ""
        return self._watched((path,), lambda: read_private_key(path, algorithm))

    def _tls_of_file(self) -> Current[ssl.SSLContext] | None:
        files = tls_files(self.server.tls, self._folder)
        return self._watched(files.paths, lambda: self._taken(files)) if files.paths else None

    def _taken(self, files: TlsFiles) -> ssl.SSLContext:
        context = tls_context(files)
        if self._certificates is not None:
            self._certificates.taken(files.certificate, Use.AUTHORIZATION_SERVER, self.settings.name)
        return context

    def _watched(self, paths: tuple[Path, ...], read: Callable[[], T]) -> Watched[T]:
        return Watched(self.settings.name, paths, read, observer=self._observer, monotonic=time.monotonic)
