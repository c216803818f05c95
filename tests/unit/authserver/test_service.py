"""What the authorization server decides, without HTTP."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from extauthz.authserver.client_auth import Presented, SecretVerifier, hash_secret
from extauthz.authserver.errors import ErrorCode, OAuthError, ReuseError
from extauthz.authserver.grants import TOKEN_TTL_SECONDS, TokenRequest
from extauthz.authserver.meaning import Active, Inactive, Why
from extauthz.authserver.service import MAX_BATCH, Revocation, Service
from extauthz.authserver.store.base import ALL_AUDIENCES, ClientRecord, StoreError, TokenKind, TokenRecord, token_digest
from extauthz.authserver.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ISSUER = "https://as.example.com"
API = "https://api.example.com"
NOW = 1_700_000_000
HASH = hash_secret("s3cret", rounds=4)

APP = ClientRecord(client_id="app", secret_hash=HASH, audiences=(API, "other"), scopes=("a", "b", "c"))
STRANGER = ClientRecord(client_id="stranger", secret_hash=HASH, audiences=(API,), scopes=("a",))
RS = ClientRecord(client_id="rs", secret_hash=HASH, can_introspect=True, audiences=(API,))
RS_OF_ALL = ClientRecord(client_id="all", secret_hash=HASH, can_introspect=True, audiences=(ALL_AUDIENCES,))
RS_OF_NONE = ClientRecord(client_id="none", secret_hash=HASH, can_introspect=True)
RS_FOR_B = ClientRecord(client_id="b", secret_hash=HASH, can_introspect=True, audiences=(API,), scopes=("b", "z"))
RS_FOR_Z = ClientRecord(client_id="z", secret_hash=HASH, can_introspect=True, audiences=(API,), scopes=("z",))


class Clock:
    def __init__(self) -> None:
        self.now = float(NOW)

    def __call__(self) -> float:
        return self.now


class BrokenStore(SqliteStore):
    """A store whose disk is gone."""

    async def open(self) -> None:
        raise StoreError("gone")

    async def find_client(self, client_id: str) -> ClientRecord | None:
        raise StoreError("gone")

    async def find_token(self, digest: bytes) -> TokenRecord | None:
        raise StoreError("gone")


def record(
    *,
    audience: tuple[str, ...] = (API,),
    scope: tuple[str, ...] = ("a", "b", "c"),
    not_before: int | None = None,
    expires_at: int = NOW + 300,
    revoked_at: int | None = None,
) -> TokenRecord:
    return TokenRecord(
        digest=token_digest("t0ken"),
        jti="j1",
        client_id="app",
        sub="u1",
        username="jdoe",
        scope=scope,
        audience=audience,
        issued_at=NOW,
        not_before=not_before,
        expires_at=expires_at,
        revoked_at=revoked_at,
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore(tmp_path / "as.db") as store:
        yield store


@pytest.fixture
def service(store: SqliteStore, clock: Clock) -> Service:
    return Service(store, ISSUER, clock, verifier=SecretVerifier(rounds=4))


def reading(client_id: str, secret: str) -> Presented:
    return Presented(client_id=client_id, secret=secret)


@pytest.mark.parametrize(
    "readings",
    [
        pytest.param([reading("app", "s3cret")], id="one reading"),
        pytest.param([reading("app", "wrong"), reading("app", "s3cret")], id="6.1-4 the second reading"),
        pytest.param([reading("nobody", "s3cret"), reading("app", "s3cret")], id="the second id"),
    ],
)
async def test_any_reading_that_proves_a_client_authenticates_it(
    service: Service, store: SqliteStore, readings: list[Presented]
) -> None:
    """The client of the first reading with the right secret is the caller."""
    await store.add_client(APP)
    assert await service.authenticate(tuple(readings)) == APP


@pytest.mark.parametrize(
    "readings",
    [
        pytest.param([reading("app", "wrong")], id="4.3-2 wrong secret"),
        pytest.param([reading("nobody", "s3cret")], id="no such client"),
        pytest.param([reading("APP", "s3cret")], id="another case"),
        pytest.param([], id="no reading at all"),
    ],
)
async def test_refusal_does_not_tell_which_clients_exist(
    service: Service, store: SqliteStore, readings: list[Presented]
) -> None:
    """A wrong secret and an unknown client are refused in the same words."""
    await store.add_client(APP)
    with pytest.raises(OAuthError) as caught:
        await service.authenticate(tuple(readings))
    assert str(caught.value) == "invalid_client: Client authentication failed"


async def test_trouble_of_the_store_is_not_a_refusal(tmp_path: Path, clock: Clock) -> None:
    """When the store fails nobody is called unauthenticated and no token inactive."""
    service = Service(BrokenStore(tmp_path / "as.db"), ISSUER, clock)
    with pytest.raises(StoreError):
        await service.authenticate((reading("app", "s3cret"),))
    with pytest.raises(StoreError):
        await service.introspect(RS, "t0ken")
    with pytest.raises(StoreError):
        await service.revoke(APP, "t0ken")


@pytest.mark.shows("S88")
@pytest.mark.parametrize(
    ("caller", "token", "expected"),
    [
        pytest.param(RS, record(), None, id="4.2-1 the token is for the caller"),
        pytest.param(RS, record(audience=("other", API)), None, id="4.2-1 one of its audiences"),
        pytest.param(RS, record(audience=("other",)), Why.NOT_FOR_CALLER, id="4.2-2 another audience"),
        pytest.param(RS, record(audience=(API + "/",)), Why.NOT_FOR_CALLER, id="4.2-2 audiences are compared exactly"),
        pytest.param(RS, record(audience=()), Why.NOT_FOR_CALLER, id="4.2-2 no audience"),
        pytest.param(RS, record(revoked_at=NOW), Why.REVOKED, id="4.2-3 revoked"),
        pytest.param(RS, record(expires_at=NOW - 1), Why.EXPIRED, id="4.2-3 expired a second ago"),
        pytest.param(RS, record(expires_at=NOW), Why.EXPIRED, id="4.2-3 expires now"),
        pytest.param(RS, record(expires_at=NOW + 1), None, id="4.2-3 expires in a second"),
        pytest.param(RS, record(not_before=NOW + 1), Why.NOT_YET_VALID, id="4.2-3 valid in a second"),
        pytest.param(RS, record(not_before=NOW), None, id="4.2-3 valid from now"),
        pytest.param(RS_OF_ALL, record(audience=("other",)), None, id="a resource server of all audiences"),
        pytest.param(RS_OF_ALL, record(audience=()), None, id="of all audiences, the token has none"),
        pytest.param(RS_OF_NONE, record(), Why.NOT_FOR_CALLER, id="a resource server of no audience"),
        pytest.param(APP, record(audience=("x",)), None, id="4.3-11 a client sees its own token"),
        pytest.param(STRANGER, record(), Why.NOT_FOR_CALLER, id="4.3-11 a client sees no other token"),
    ],
)
async def test_token_is_active_only_for_whom_and_while_it_is_meant(
    service: Service, store: SqliteStore, caller: ClientRecord, token: TokenRecord, expected: Why | None
) -> None:
    """Every check must pass, by the server's clock and without leeway, before a token is called active."""
    await store.add_tokens(token)
    state = await service.introspect(caller, "t0ken")
    assert (state.why if isinstance(state, Inactive) else None) == expected


@pytest.mark.parametrize("token", ["unknown", "", "T0KEN", "t0ken ", "é" * 100])
async def test_unknown_token_is_inactive(service: Service, store: SqliteStore, token: str) -> None:
    """A token is known by exactly its own text."""
    await store.add_tokens(record())
    assert await service.introspect(RS, token) == Inactive(why=Why.UNKNOWN)


async def test_active_token_tells_what_was_recorded(service: Service, store: SqliteStore) -> None:
    """The meaning of a token is its record under the issuer's name."""
    await store.add_tokens(record(not_before=NOW))
    assert await service.introspect(RS, "t0ken") == Active(
        client_id="app",
        iss=ISSUER,
        jti="j1",
        iat=NOW,
        exp=NOW + 300,
        nbf=NOW,
        sub="u1",
        username="jdoe",
        scope=("a", "b", "c"),
        aud=(API,),
    )


@pytest.mark.shows("S88")
async def test_token_expires_while_the_clock_ticks(service: Service, store: SqliteStore, clock: Clock) -> None:
    """The clock is read at each introspection."""
    await store.add_tokens(record())
    clock.now += 299.9
    assert isinstance(await service.introspect(RS, "t0ken"), Active)
    clock.now += 0.1
    assert await service.introspect(RS, "t0ken") == Inactive(why=Why.EXPIRED)


@pytest.mark.shows("S90")
@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        pytest.param(RS, ("a", "b", "c"), id="registered for none: no narrowing"),
        pytest.param(RS_FOR_B, ("b",), id="4.2-4 registered for b"),
        pytest.param(RS_FOR_Z, (), id="4.2-4 registered for what the token lacks"),
        pytest.param(APP, ("a", "b", "c"), id="the client's own token"),
        pytest.param(replace(APP, scopes=("a",)), ("a", "b", "c"), id="its own token is not narrowed for a client"),
    ],
)
async def test_resource_server_sees_its_own_scopes(
    service: Service, store: SqliteStore, caller: ClientRecord, expected: tuple[str, ...]
) -> None:
    """A resource server that is registered for scopes sees no others, in the token's order."""
    await store.add_tokens(record())
    state = await service.introspect(caller, "t0ken")
    assert isinstance(state, Active)
    assert state.scope == expected


@pytest.mark.parametrize(
    ("request_", "scope", "audience"),
    [
        pytest.param({}, ("a", "b", "c"), (API, "other"), id="nothing named: all that is registered"),
        pytest.param({"scope": "c a"}, ("c", "a"), (API, "other"), id="a part, in the order asked"),
        pytest.param({"scope": "a a"}, ("a",), (API, "other"), id="duplicates collapse"),
        pytest.param({"audience": (API,)}, ("a", "b", "c"), (API,), id="one audience"),
    ],
)
async def test_client_gets_what_it_is_registered_for(
    service: Service,
    request_: dict[str, str | tuple[str, ...]],
    scope: tuple[str, ...],
    audience: tuple[str, ...],
) -> None:
    """A client token has a part of what the client is registered for, and never a subject."""
    request = TokenRequest(grant_type="client_credentials", **request_)  # type: ignore[arg-type]
    issued = await service.issue(APP, request)
    state = await service.introspect(APP, issued.access_token)
    assert isinstance(state, Active)
    assert (issued.scope, state.scope, state.aud, state.sub) == (scope, scope, audience, None)
    assert (issued.expires_in_seconds, state.exp - state.iat) == (TOKEN_TTL_SECONDS, TOKEN_TTL_SECONDS)


@pytest.mark.parametrize(
    ("client", "request_", "code"),
    [
        pytest.param(APP, TokenRequest(), ErrorCode.INVALID_REQUEST, id="no grant type"),
        pytest.param(
            APP, TokenRequest(grant_type="password"), ErrorCode.UNSUPPORTED_GRANT_TYPE, id="another grant type"
        ),
        pytest.param(
            APP,
            TokenRequest(grant_type="client_credentials", scope="a d"),
            ErrorCode.INVALID_SCOPE,
            id="a scope too many",
        ),
        pytest.param(
            APP, TokenRequest(grant_type="client_credentials", scope="A"), ErrorCode.INVALID_SCOPE, id="another case"
        ),
        pytest.param(
            APP,
            TokenRequest(grant_type="client_credentials", scope="a  b"),
            ErrorCode.INVALID_SCOPE,
            id="not in the grammar",
        ),
        pytest.param(
            APP,
            TokenRequest(grant_type="client_credentials", audience=(API, "third")),
            ErrorCode.INVALID_TARGET,
            id="an audience too many",
        ),
        pytest.param(
            RS_OF_ALL,
            TokenRequest(grant_type="client_credentials", audience=("any",)),
            ErrorCode.INVALID_TARGET,
            id="seeing all audiences is not issuing for any",
        ),
        pytest.param(
            RS_OF_ALL,
            TokenRequest(grant_type="client_credentials", audience=(ALL_AUDIENCES,)),
            ErrorCode.INVALID_TARGET,
            id="all audiences is no audience",
        ),
    ],
)
async def test_client_gets_no_more_than_it_is_registered_for(
    service: Service, client: ClientRecord, request_: TokenRequest, code: ErrorCode
) -> None:
    """A request beyond the registration is refused as a whole."""
    with pytest.raises(OAuthError) as caught:
        await service.issue(client, request_)
    assert caught.value.code is code


async def test_resource_server_of_all_gets_a_token_for_none(service: Service) -> None:
    """The word for all audiences never becomes the audience of a token."""
    issued = await service.issue(RS_OF_ALL, TokenRequest(grant_type="client_credentials"))
    state = await service.introspect(RS_OF_ALL, issued.access_token)
    assert isinstance(state, Active)
    assert state.aud == ()


@pytest.mark.shows("S93")
@pytest.mark.parametrize(
    ("caller", "token", "expected", "why"),
    [
        pytest.param(APP, "t0ken", Revocation.REVOKED, Why.REVOKED, id="7-1 own token"),
        pytest.param(APP, "unknown", Revocation.UNKNOWN, None, id="7-2 unknown token"),
        pytest.param(STRANGER, "t0ken", Revocation.OTHER_CLIENT, None, id="7-3 another client's token"),
        pytest.param(RS, "t0ken", Revocation.OTHER_CLIENT, None, id="7-3 a resource server revokes nothing"),
        pytest.param(RS_OF_ALL, "t0ken", Revocation.OTHER_CLIENT, None, id="7-3 not even one that sees all"),
    ],
)
async def test_client_revokes_its_own_tokens_only(
    service: Service,
    store: SqliteStore,
    caller: ClientRecord,
    token: str,
    *,
    expected: Revocation,
    why: Why | None,
) -> None:
    """A token is revoked by the client it was issued to and by nobody else."""
    await store.add_tokens(record())
    assert await service.revoke(caller, token) is expected
    state = await service.introspect(RS, "t0ken")
    assert (state.why if isinstance(state, Inactive) else None) == why


async def test_revoking_twice_is_no_error(service: Service, store: SqliteStore) -> None:
    """7-2: a token that is revoked already stays so."""
    await store.add_tokens(record())
    await service.revoke(APP, "t0ken")
    assert await service.revoke(APP, "t0ken") is Revocation.REVOKED
    assert await service.introspect(RS, "t0ken") == Inactive(why=Why.REVOKED)


async def test_who_wants_to_know_is_told_that_something_was_revoked(store: SqliteStore, clock: Clock) -> None:
    """Once the store has a notice about it, also when a copied refresh token ended its family; never without one."""
    calls: list[int] = []
    service = Service(store, ISSUER, clock, on_revoked=lambda: calls.append(1))
    refresh = replace(record(), family="f", jti="refresh", kind=TokenKind.REFRESH, digest=token_digest("refresh"))
    await store.add_tokens(record(), refresh)
    await service.revoke(APP, "unknown")
    await service.revoke(RS, "t0ken")
    assert (calls, await store.list_notices(limit=9)) == ([], [])
    await service.revoke(APP, "t0ken")
    assert (len(calls), len(await store.list_notices(limit=9))) == (1, 1)
    await store.exchange(refresh.digest, used_at=1, successors=())
    client = replace(APP, grants=("refresh_token",))
    with pytest.raises(ReuseError):
        await service.issue(client, TokenRequest(grant_type="refresh_token", refresh_token="refresh"))
    assert (len(calls), len(await store.list_notices(limit=9))) == (2, 2)


async def test_nothing_is_active_after_a_revocation_has_returned(
    service: Service, store: SqliteStore, clock: Clock, tmp_path: Path
) -> None:
    """7-6: an introspection that begins after the revocation returned says inactive, on every replica."""
    await store.add_tokens(record())
    revoked = asyncio.Event()

    async def watch(replica: Service) -> None:
        seen_after = 0
        while seen_after < 5:
            after = revoked.is_set()
            state = await replica.introspect(RS, "t0ken")
            assert not (after and isinstance(state, Active))
            seen_after += after
            await asyncio.sleep(0)  # an introspection by itself may never wait

    async def revoke() -> None:
        assert isinstance(await service.introspect(RS, "t0ken"), Active)
        await service.revoke(APP, "t0ken")
        revoked.set()

    async with SqliteStore(tmp_path / "as.db") as other:
        replica = Service(other, ISSUER, clock)
        await asyncio.gather(*(watch(each) for each in (service, replica) * 4), revoke())


async def test_a_batch_answers_in_order_and_only_resource_servers(service: Service, store: SqliteStore) -> None:
    """Many tokens are introspected as each would be; a client that sees only its own tokens may not ask so."""
    await store.add_tokens(record())
    states = await service.introspect_each(RS, ["unknown", "t0ken", "unknown"])
    assert [isinstance(state, Active) for state in states] == [False, True, False]
    assert states[1] == await service.introspect(RS, "t0ken")
    with pytest.raises(OAuthError, match="unauthorized_client"):
        await service.introspect_each(APP, ["t0ken"])
    with pytest.raises(OAuthError, match="invalid_request"):
        await service.introspect_each(RS, ["x"] * (MAX_BATCH + 1))


@pytest.mark.shows("S97")
@pytest.mark.parametrize(
    ("issuer", "base"),
    [
        (ISSUER, ISSUER),
        (ISSUER + "/", ISSUER),
        (ISSUER + "/t1", ISSUER + "/t1"),
        ("http://127.0.0.1:9190", "http://127.0.0.1:9190"),
    ],
)
def test_metadata_names_the_issuer_exactly(store: SqliteStore, clock: Clock, issuer: str, base: str) -> None:
    """8.1-8: the issuer is the configured text, the endpoints lie below it, and no list is empty."""
    metadata = Service(store, issuer, clock).metadata()
    assert metadata.issuer == issuer
    assert metadata.token_endpoint == base + "/oauth2/token"
    assert metadata.introspection_endpoint == base + "/oauth2/introspect"
    assert metadata.revocation_endpoint == base + "/oauth2/revoke"
    assert metadata.introspection_endpoint_auth_methods_supported == (
        "client_secret_basic",
        "client_secret_post",
        "private_key_jwt",
    )
    assert metadata.grant_types_supported == ("client_credentials", "refresh_token")
    assert metadata.jwks_uri is None


@pytest.mark.parametrize(
    "issuer", ["", "as.example.com", "ftp://as.example.com", "https://", "https://a/?x=1", "https://a/#x", "https://a?"]
)
def test_issuer_that_is_no_url_is_refused(store: SqliteStore, clock: Clock, issuer: str) -> None:
    """An issuer has a scheme and a host, and neither query nor fragment (RFC 8414 §2)."""
    with pytest.raises(ValueError, match="issuer"):
        Service(store, issuer, clock)
