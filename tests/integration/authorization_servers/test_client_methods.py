"""How we prove who we are, to authorization servers that others wrote: each method is understood, and only the right one."""

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Unavailable
from extauthz.core.token import Token
from extauthz.keyfiles import TlsFiles, tls_context
from extauthz.resolver.caller import Caller, configured
from extauthz.resolver.client import IntrospectionClient
from extauthz.resolver.client_auth import AssertionAuth, CertificateAuth, ClientAuthenticator, SecretAuth
from extauthz.resolver.client_token import BearerAuth
from extauthz.resolver.discovery import Discovery
from extauthz.resolver.metadata import Expected, Metadata
from extauthz.resolver.settings import AssertionSettings
from extauthz.resolver.transport import Transport
from extauthz.resolver.watched_file import Fixed
from extauthz.signatures import PrivateKey
from extauthz.testing import RecordingObserver
from support.asking import ask, client_of, with_secret
from support.django_toolkit import DjangoToolkit
from support.oidc_provider import PRIVATE_KEY_ID, PRIVATE_KEY_JWT, SECRET_JWT, TLS_CLIENT, OidcProvider
from support.real_server import GATEWAY


def assertion(client_id: str, key: str | PrivateKey, **settings: str) -> ClientAuthenticator:
    """A client that signs."""
    return AssertionAuth(
        client_id, Fixed(key), AssertionSettings(**settings), wall=time.time, unique=lambda: secrets.token_urlsafe(16)
    )


@pytest.mark.shows("S62")
class TestAssertions:
    """oidc-provider looks at every claim."""

    async def test_a_private_key_is_enough(self, oidc: OidcProvider) -> None:
        """With the issuer alone as audience, and two questions in a row have two assertions."""
        signed = assertion(PRIVATE_KEY_JWT, oidc.private_key, audience=oidc.issuer or "", key_id=PRIVATE_KEY_ID)
        client = oidc.client(signed)
        token = Token(oidc.issue())
        states = [await client.ask(token), await client.ask(token)]
        await client.close()
        assert [type(state) for state in states] == [Active, Active]

    @pytest.mark.parametrize("kind", ["client-authentication+jwt", "JWT"])
    async def test_the_type_may_be_either(self, oidc: OidcProvider, kind: str) -> None:
        """A server must not ask for the new one."""
        signed = assertion(PRIVATE_KEY_JWT, oidc.private_key, audience=oidc.issuer or "", kind=kind)
        assert isinstance(await ask(oidc.client(signed), oidc.issue()), Active)

    async def test_a_shared_secret_signs_too(self, oidc: OidcProvider) -> None:
        """And does not leave this process."""
        signed = assertion(SECRET_JWT.id, SECRET_JWT.secret, audience=oidc.issuer or "")
        assert isinstance(await ask(oidc.client(signed), oidc.issue()), Active)

    @pytest.mark.parametrize("wrong", ["key", "audience", "client"])
    async def test_a_wrong_assertion_is_our_trouble_and_not_the_token_s(self, oidc: OidcProvider, wrong: str) -> None:
        """Whatever is wrong with it."""
        key = ec.generate_private_key(ec.SECP256R1()) if wrong == "key" else oidc.private_key
        audience = "https://evil.example.com" if wrong == "audience" else oidc.issuer or ""
        signed = assertion("nobody" if wrong == "client" else PRIVATE_KEY_JWT, key, audience=audience)
        state = await ask(oidc.client(signed), oidc.issue())
        assert isinstance(state, Unavailable)
        assert state.reason is Reason.SERVER_REFUSED_US


@pytest.mark.shows("S63")
class TestCertificates:
    """The endpoint of oidc-provider that asks for one."""

    @staticmethod
    @asynccontextmanager
    async def client(oidc: OidcProvider, files: TlsFiles) -> AsyncIterator[IntrospectionClient]:
        """Asks there."""
        settings = oidc.settings(introspection_endpoint=oidc.tls_introspection_endpoint)
        client = client_of(settings, CertificateAuth(TLS_CLIENT), Transport(tls=Fixed(tls_context(files))))
        try:
            yield client
        finally:
            await client.close()

    async def test_a_certificate_is_enough(self, oidc: OidcProvider) -> None:
        """With the id of the client in the form."""
        pair = oidc.client_certificate
        files = TlsFiles(ca=oidc.authority.path, certificate=pair.certificate, key=pair.key)
        async with self.client(oidc, files) as client:
            assert isinstance(await client.ask(Token(oidc.issue())), Active)

    async def test_another_certificate_is_refused(self, oidc: OidcProvider) -> None:
        """Although the same authority signed it; likewise none at all."""
        pair = oidc.authority.issue("somebody-else")
        for files in (
            TlsFiles(ca=oidc.authority.path, certificate=pair.certificate, key=pair.key),
            TlsFiles(ca=oidc.authority.path),
        ):
            async with self.client(oidc, files) as client:
                state = await client.ask(Token(oidc.issue()))
                assert isinstance(state, Unavailable)
                assert state.reason is Reason.SERVER_REFUSED_US


class TestBearer:
    """django-oauth-toolkit takes a token with the scope `introspection` as well as a secret."""

    @staticmethod
    def client(toolkit: DjangoToolkit, scope: str) -> IntrospectionClient:
        server = Metadata(introspection_endpoint=toolkit.introspection_endpoint, token_endpoint=toolkit.token_endpoint)
        transport = Transport()
        own = with_secret(GATEWAY.id, GATEWAY.secret)
        bearer = BearerAuth(own, transport, scope=scope, monotonic=time.monotonic)
        return IntrospectionClient(toolkit.settings(), Caller(transport, bearer, configured(server)))

    async def test_a_token_of_our_own_is_enough(self, toolkit: DjangoToolkit) -> None:
        """By the client credentials grant."""
        assert isinstance(await ask(self.client(toolkit, "introspection"), toolkit.issue()), Active)

    @pytest.mark.parametrize("scope", ["orders:read", "unknown"])
    async def test_one_without_the_scope_is_refused(self, toolkit: DjangoToolkit, scope: str) -> None:
        """At the introspection endpoint, or at the token endpoint already."""
        state = await ask(self.client(toolkit, scope), toolkit.issue())
        assert isinstance(state, Unavailable)
        assert state.reason is Reason.SERVER_REFUSED_US


@pytest.mark.shows("S65")
async def test_what_the_server_says_about_itself_is_where_it_is_asked(oidc: OidcProvider) -> None:
    """Endpoints, keys, and how clients prove who they are."""
    issuer = oidc.issuer or ""
    transport = Transport()
    discovery = Discovery(
        "main",
        Expected(issuer=issuer, needed=("introspection_endpoint", "jwks_uri")),
        Metadata(),
        transport,
        observer=RecordingObserver(),
        random=float,
    )
    assert await discovery.refresh()
    known = discovery()
    assert isinstance(known, Metadata)
    assert (known.introspection_endpoint, known.jwks_uri) == (oidc.introspection_endpoint, oidc.jwks_uri)
    assert "private_key_jwt" in known.auth_methods
    caller = Caller(transport, SecretAuth(GATEWAY.id, Fixed(GATEWAY.secret)), discovery)
    assert isinstance(await ask(IntrospectionClient(oidc.settings(), caller), oidc.issue()), Active)
