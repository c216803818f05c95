"""What the token endpoint gives, on every kind of storage where storage matters."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from extauthz.authserver.admin import issue_token
from extauthz.authserver.certificate import Certificate
from extauthz.authserver.errors import ErrorCode, MisconfiguredError, OAuthError, ReuseError
from extauthz.authserver.grants import TOKEN_TTL_SECONDS, Grants, Issued, TokenRequest
from extauthz.authserver.signing import SigningKey, SigningKeys
from extauthz.authserver.store.base import ClientRecord, TokenKind, TokenRecord, token_digest
from extauthz.authserver.store.sqlite import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from extauthz.authserver.store.base import Store

NOW = 1_700_000_000
ISSUER = "https://as.example.com"
APP = ClientRecord(
    client_id="app", audiences=("api", "other"), scopes=("a",), grants=("client_credentials", "refresh_token")
)
PEM = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
SIGNING = SigningKeys([SigningKey.of_pem(PEM)])


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def memory() -> AsyncIterator[Store]:
    store = MemoryStore()
    yield store
    await store.close()


async def a_refresh_token(store: Store, **changes: Any) -> str:  # noqa: ANN401 - by name
    members: dict[str, Any] = {
        "client_id": "app",
        "sub": "u1",
        "username": "jdoe",
        "scope": ("a", "b"),
        "audience": ("api", "other"),
        "claims": {"acr": "urn:mfa"},
        "kind": TokenKind.REFRESH,
        "ttl_seconds": 86_400,
        "now": NOW,
    }
    token, _ = await issue_token(store, **members | changes)
    return token


def refreshing(token: str | None, **changes: Any) -> TokenRequest:  # noqa: ANN401 - by name
    return TokenRequest(grant_type="refresh_token", refresh_token=token, **changes)


async def kept(store: Store, token: str | None) -> TokenRecord:
    assert token is not None
    record = await store.find_token(token_digest(token))
    assert record is not None
    return record


async def alive(store: Store, issued: Issued) -> list[bool]:
    records = [await kept(store, issued.access_token), await kept(store, issued.refresh_token)]
    return [record.revoked_at is None for record in records]


async def test_a_refresh_rotates(store: Store, clock: Clock) -> None:
    """The answer has an access token for what was granted and the next refresh token, of the same family and end."""
    old = await a_refresh_token(store)
    clock.now += 10
    issued = await Grants(store, ISSUER, clock).issue(APP, refreshing(old))
    first, access, refresh = [await kept(store, token) for token in (old, issued.access_token, issued.refresh_token)]
    assert first.used_at == NOW + 10
    assert access.family == refresh.family == first.family is not None
    assert (access.kind, refresh.kind) == (TokenKind.ACCESS, TokenKind.REFRESH)
    for record in (access, refresh):
        assert (record.sub, record.username, record.claims) == ("u1", "jdoe", {"acr": "urn:mfa"})
        assert (record.scope, record.audience) == (("a", "b"), ("api", "other"))
    assert (access.expires_at, refresh.expires_at) == (NOW + 10 + TOKEN_TTL_SECONDS, first.expires_at)


async def test_a_refresh_token_used_twice_ends_its_family(store: Store, clock: Clock) -> None:
    """Whoever copied it, thief and owner both lose what came of it, however many generations on."""
    grants = Grants(store, ISSUER, clock)
    old = await a_refresh_token(store)
    first = await grants.issue(APP, refreshing(old))
    second = await grants.issue(APP, refreshing(first.refresh_token))
    with pytest.raises(ReuseError) as caught:
        await grants.issue(APP, refreshing(old))
    assert caught.value.code is ErrorCode.INVALID_GRANT
    assert await alive(store, first) == await alive(store, second) == [False, False]
    with pytest.raises(OAuthError, match="invalid_grant"):
        await grants.issue(APP, refreshing(second.refresh_token))


async def test_of_many_exchanges_at_once_one_succeeds_and_its_fruit_is_lost(
    replicas: Callable[[], Store], clock: Clock
) -> None:
    """A retry without an answer looks like a theft, and is treated as one: safe by default."""
    stores = [replicas(), replicas()]
    old = await a_refresh_token(stores[0])
    grants = [Grants(store, ISSUER, clock) for store in stores] * 3
    results = await asyncio.gather(*(each.issue(APP, refreshing(old)) for each in grants), return_exceptions=True)
    issued = [result for result in results if isinstance(result, Issued)]
    assert len(issued) == 1
    assert all(isinstance(result, ReuseError) for result in results if result not in issued)
    assert await alive(stores[0], issued[0]) == [False, False]


async def test_scope_and_audience_may_be_narrowed_for_the_access_token_only(memory: Store, clock: Clock) -> None:
    """RFC 6749 §6: the next refresh token has the whole scope again, so the next access token may have it too."""
    grants = Grants(memory, ISSUER, clock)
    request = refreshing(await a_refresh_token(memory), scope="b", audience=("api",))
    issued = await grants.issue(APP, request)
    assert issued.scope == ("b",)
    access = await kept(memory, issued.access_token)
    assert (access.scope, access.audience) == (("b",), ("api",))
    again = await grants.issue(APP, refreshing(issued.refresh_token))
    assert again.scope == ("a", "b")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"scope": "a c"}, ErrorCode.INVALID_SCOPE),
        ({"scope": "a  b"}, ErrorCode.INVALID_SCOPE),
        ({"audience": ("third",)}, ErrorCode.INVALID_TARGET),
    ],
)
async def test_a_refused_refresh_does_not_use_up_the_token(
    memory: Store, clock: Clock, changes: dict[str, Any], code: ErrorCode
) -> None:
    """What exceeds the grant is refused, and a better request may follow."""
    grants = Grants(memory, ISSUER, clock)
    old = await a_refresh_token(memory)
    with pytest.raises(OAuthError) as caught:
        await grants.issue(APP, refreshing(old, **changes))
    assert caught.value.code is code
    assert (await grants.issue(APP, refreshing(old))).scope == ("a", "b")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"client_id": "other"}, id="of another client"),
        pytest.param({"kind": TokenKind.ACCESS}, id="an access token"),
        pytest.param({"ttl_seconds": 10}, id="expired now"),
        pytest.param({"not_before": NOW + 11}, id="not yet valid"),
    ],
)
async def test_what_is_no_refresh_token_of_the_client_is_an_invalid_grant(
    memory: Store, clock: Clock, changes: dict[str, Any]
) -> None:
    """Every cause has the same words, and nothing is done to the token."""
    token = await a_refresh_token(memory, **changes)
    clock.now += 10
    for each in (token, "unknown"):
        with pytest.raises(OAuthError) as caught:
            await Grants(memory, ISSUER, clock).issue(APP, refreshing(each))
        assert str(caught.value) == "invalid_grant: The refresh token is not valid"
        assert not isinstance(caught.value, ReuseError)
    record = await kept(memory, token)
    assert (record.used_at, record.revoked_at) == (None, None)


async def test_no_token_outlives_its_family(memory: Store, clock: Clock) -> None:
    """Shortly before the end of the first refresh token, access tokens are short too."""
    token = await a_refresh_token(memory, ttl_seconds=100)
    clock.now += 99.5
    issued = await Grants(memory, ISSUER, clock).issue(APP, refreshing(token))
    assert issued.expires_in_seconds == 1
    assert (await kept(memory, issued.refresh_token)).expires_at == NOW + 100


@pytest.mark.parametrize("grant_type", ["client_credentials", "refresh_token"])
async def test_a_client_uses_the_grants_it_is_registered_for(memory: Store, clock: Clock, grant_type: str) -> None:
    """Another grant type is refused, before any token is looked at."""
    others = tuple(grant for grant in APP.grants if grant != grant_type)
    with pytest.raises(OAuthError, match="unauthorized_client"):
        await Grants(memory, ISSUER, clock).issue(replace(APP, grants=others), TokenRequest(grant_type=grant_type))


async def test_a_refresh_names_its_token(memory: Store, clock: Clock) -> None:
    """Without one the request is incomplete."""
    with pytest.raises(OAuthError, match="invalid_request: refresh_token is missing"):
        await Grants(memory, ISSUER, clock).issue(APP, refreshing(None))


async def test_a_client_may_get_jwts(memory: Store, clock: Clock) -> None:
    """Its access tokens are JWTs that are stored by their digest like any other; refresh tokens stay opaque."""
    grants = Grants(memory, ISSUER, clock, signing=SIGNING)
    client = replace(APP, jwt_access_tokens=True)
    own = await grants.issue(client, TokenRequest(grant_type="client_credentials"))
    refreshed = await grants.issue(client, refreshing(await a_refresh_token(memory)))
    for issued, sub in ((own, "app"), (refreshed, "u1")):
        claims = jwt.decode(issued.access_token, options={"verify_signature": False})
        record = await kept(memory, issued.access_token)
        assert (claims["jti"], claims["sub"], record.sub) == (record.jti, sub, sub)
    assert refreshed.refresh_token is not None
    assert "." not in refreshed.refresh_token


async def test_jwts_need_a_key_and_an_audience(memory: Store, clock: Clock) -> None:
    """A missing key is the operator's fault, a missing audience (RFC 9068 §2.2) the registration's."""
    client = replace(APP, jwt_access_tokens=True)
    request = TokenRequest(grant_type="client_credentials")
    with pytest.raises(MisconfiguredError, match="signing key"):
        await Grants(memory, ISSUER, clock).issue(client, request)
    with pytest.raises(OAuthError, match="invalid_target"):
        await Grants(memory, ISSUER, clock, signing=SIGNING).issue(replace(client, audiences=()), request)


@pytest.mark.parametrize("as_jwt", [False, True])
async def test_access_tokens_may_be_bound_to_a_certificate(memory: Store, clock: Clock, *, as_jwt: bool) -> None:
    """The one of the connection on which each was asked for (RFC 8705 §3); a refresh token is bound to its client."""
    grants = Grants(memory, ISSUER, clock, signing=SIGNING)
    client = replace(APP, certificate_bound_tokens=True, jwt_access_tokens=as_jwt)
    certificate = Certificate(subject="CN=app", thumbprint="t")
    own = await grants.issue(client, TokenRequest(grant_type="client_credentials", certificate=certificate))
    old = await a_refresh_token(memory, claims={"acr": "urn:mfa", "cnf": {"jkt": "k"}})
    refreshed = await grants.issue(client, refreshing(old, certificate=certificate))
    assert (await kept(memory, own.access_token)).claims == {"cnf": {"x5t#S256": "t"}}
    bound = {"acr": "urn:mfa", "cnf": {"jkt": "k", "x5t#S256": "t"}}
    assert (await kept(memory, refreshed.access_token)).claims == bound
    assert (await kept(memory, refreshed.refresh_token)).claims == {"acr": "urn:mfa", "cnf": {"jkt": "k"}}
    if as_jwt:
        claims = jwt.decode(own.access_token, options={"verify_signature": False})
        assert claims["cnf"] == {"x5t#S256": "t"}


async def test_without_a_certificate_there_is_no_bound_token(memory: Store, clock: Clock) -> None:
    """Rather none than one that anybody may use; the refresh token is not spent."""
    grants = Grants(memory, ISSUER, clock)
    client = replace(APP, certificate_bound_tokens=True)
    token = await a_refresh_token(memory)
    for request in (TokenRequest(grant_type="client_credentials"), refreshing(token)):
        with pytest.raises(OAuthError, match="invalid_request"):
            await grants.issue(client, request)
    assert (await kept(memory, token)).used_at is None
    certificate = Certificate(subject="CN=app", thumbprint="t")
    unbound = await grants.issue(APP, TokenRequest(grant_type="client_credentials", certificate=certificate))
    assert (await kept(memory, unbound.access_token)).claims == {}
