"""The introspection client and authorization servers that others wrote: what each says is understood."""

import pytest

from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Answer, Inactive, Unavailable, read_answer
from extauthz.core.token import Token
from extauthz.resolver.settings import ClientAuth
from support.asking import ask, with_secret
from support.django_toolkit import USER_APP, DjangoToolkit
from support.oidc_provider import ODD, POST, RESOURCE, OidcProvider
from support.real_server import APP, GATEWAY, USER, RealServer, post


class TestBothServers:
    """What is so at each of them."""

    @pytest.mark.shows("S100")
    async def test_a_live_token_has_its_scope(self, real_server: RealServer) -> None:
        """And its client, and a time at which it ends."""
        state = await ask(real_server.client(), real_server.issue("orders:write orders:read"))
        assert isinstance(state, Active)
        assert state.scopes == {"orders:read", "orders:write"}
        assert (state.client_id, state.sub) == (APP.id, None)
        assert state.exp is not None

    @pytest.mark.shows("S100")
    async def test_a_revoked_token_is_inactive(self, real_server: RealServer) -> None:
        """The next question already says so, over the same connection."""
        token = real_server.issue()
        client = real_server.client()
        try:
            before = await client.ask(Token(token))
            real_server.revoke(token)
            after = await client.ask(Token(token))
        finally:
            await client.close()
        assert isinstance(before, Active)
        assert after == Inactive()

    @pytest.mark.parametrize("token", ["unknown", "a+b/c==", "a" * 4000])
    async def test_an_unknown_token_is_inactive(self, real_server: RealServer, token: str) -> None:
        """However it is spelled."""
        assert await ask(real_server.client(), token) == Inactive()

    @pytest.mark.shows("S29")
    @pytest.mark.parametrize("hint", ["access_token", ""])
    async def test_the_hint_changes_nothing(self, real_server: RealServer, hint: str) -> None:
        """It is for the server's speed (RFC 7662 §2.1)."""
        state = await ask(real_server.client(token_type_hint=hint), real_server.issue())
        assert isinstance(state, Active)

    @pytest.mark.shows("S25")
    @pytest.mark.parametrize("wrong", [(GATEWAY.id, "wrong"), ("nobody", GATEWAY.secret)])
    async def test_a_wrong_secret_is_our_trouble_and_not_the_token_s(
        self, real_server: RealServer, wrong: tuple[str, str]
    ) -> None:
        """One server says 401 with a challenge, the other 403 with an empty page."""
        state = await ask(real_server.client(with_secret(*wrong)), real_server.issue())
        assert isinstance(state, Unavailable)
        assert state.reason is Reason.SERVER_REFUSED_US

    async def test_the_secret_may_go_into_the_form(self, real_server: RealServer) -> None:
        """As `client_secret_post`; one server has a client for it, the other lets each client choose."""
        client = POST if isinstance(real_server, OidcProvider) else GATEWAY
        authenticator = with_secret(client.id, client.secret, ClientAuth.POST)
        assert isinstance(await ask(real_server.client(authenticator), real_server.issue()), Active)


class TestOidcProvider:
    """What is so at oidc-provider alone."""

    async def test_a_token_of_a_user_names_the_user(self, oidc: OidcProvider) -> None:
        """As `sub`, with the resource as audience."""
        state = await ask(oidc.client(), oidc.issue_to())
        assert isinstance(state, Active)
        assert (state.sub, state.username, state.aud, state.iss) == (USER, None, (RESOURCE,), oidc.issuer)

    async def test_another_issuer_than_the_expected_one_is_refused(self, oidc: OidcProvider) -> None:
        """It names itself in each answer."""
        state = await ask(oidc.client(issuer="https://as.example.com"), oidc.issue())
        assert state == Inactive(reason=Reason.WRONG_ISSUER)

    async def test_id_and_secret_of_odd_characters_arrive(self, oidc: OidcProvider) -> None:
        """Both are decoded here (RFC 6749 §2.3.1), and refuses what is not encoded."""
        authenticator = with_secret(ODD.id, ODD.secret)
        assert isinstance(await ask(oidc.client(authenticator), oidc.issue()), Active)

    async def test_a_jwt_is_no_trouble_of_the_server(self, oidc: OidcProvider) -> None:
        """It answers 400 `unsupported_token_type`: whoever sends JWTs must not look like an outage."""
        assert await ask(oidc.client(), oidc.issue_jwt()) == Inactive()

    def test_a_refresh_token_lacks_the_token_type(self, oidc: OidcProvider) -> None:
        """Nothing else tells it from an access token here, so `token_type` has to be required of this server."""
        body = post(oidc.introspection_endpoint, {"token": oidc.issue_refresh()}, GATEWAY)
        answer = Answer(status=200, content_type="application/json", body=body)
        lax = read_answer(answer, issuer=oidc.issuer, answers_others=True)
        strict = read_answer(answer, issuer=oidc.issuer, answers_others=True, token_type_required=True)
        assert isinstance(lax, Active)
        assert strict == Inactive(reason=Reason.NOT_AN_ACCESS_TOKEN)

    async def test_a_sender_constrained_token_is_not_a_bearer_token(self, oidc: OidcProvider) -> None:
        """It is `cnf` and `token_type: DPoP` here."""
        state = await ask(oidc.client(), oidc.mint(jkt="0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"))
        assert state == Inactive(reason=Reason.SENDER_CONSTRAINED)


class TestDjangoToolkit:
    """What is so at django-oauth-toolkit alone."""

    async def test_a_token_of_a_user_names_the_user(self, toolkit: DjangoToolkit) -> None:
        """As `username`; this server has no `sub` and no `iss`."""
        state = await ask(toolkit.client(issuer="https://as.example.com"), toolkit.issue_to())
        assert isinstance(state, Active)
        assert (state.sub, state.username, state.client_id, state.iss) == (None, USER, USER_APP.id, None)

    async def test_a_refresh_token_is_inactive(self, toolkit: DjangoToolkit) -> None:
        """Only access tokens are looked for."""
        assert await ask(toolkit.client(), toolkit.issue_refresh()) == Inactive()
