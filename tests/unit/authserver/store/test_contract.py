"""What `Store` promises, on every kind of storage."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

import pytest

from extauthz.authserver.store.base import (
    NOTICE_SECONDS,
    AuthMethod,
    ClientRecord,
    DuplicateClientError,
    StoreError,
    TokenKind,
    TokenRecord,
    token_digest,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from extauthz.authserver.store.base import Store

CLIENT = ClientRecord(
    client_id="rs", secret_hash="$2b$04$x", can_introspect=True, audiences=("a", "b"), scopes=("x", "y")
)
EVERY_DETAIL = ClientRecord(
    client_id="every ü",
    disabled_at=7,
    auth_method=AuthMethod.PRIVATE_KEY_JWT,
    old_secret_hash="$2b$04$old",
    old_secret_until=99,
    keys='{"keys":[]}',
    certificate_subject="CN=rs",
    networks=("10.0.0.0/8", "::1/128"),
    grants=("client_credentials", "refresh_token"),
    jwt_access_tokens=True,
    certificate_bound_tokens=True,
)
TOKEN = TokenRecord(
    digest=token_digest("t0ken"),
    jti="j1",
    client_id="app",
    sub="u1",
    username="jdoe",
    scope=("x", "y"),
    audience=("a", "b"),
    issued_at=1000,
    not_before=1001,
    expires_at=1060,
    family="f1",
    claims={"acr": "urn:mfa", "cnf": {"jkt": "k"}, "authorization_details": [{"type": "pay"}]},
)
BARE = TokenRecord(digest=token_digest("bare"), jti="j2", client_id="app", issued_at=1, expires_at=2)
REFRESH = TokenRecord(
    digest=token_digest("refresh"),
    jti="j3",
    client_id="app",
    kind=TokenKind.REFRESH,
    sub="u1",
    issued_at=1000,
    expires_at=9000,
    family="f1",
)


def another(name: str, **changes: object) -> TokenRecord:
    return dataclasses.replace(TOKEN, digest=token_digest(name), jti=name, **changes)  # type: ignore[arg-type] # fields by name


@pytest.mark.parametrize("client", [CLIENT, EVERY_DETAIL, ClientRecord(client_id="bare", secret_hash="h")])
async def test_a_client_comes_back_as_it_went(store: Store, client: ClientRecord) -> None:
    """A client that was added is found unchanged, and only under its own id."""
    await store.add_client(client)
    assert await store.find_client(client.client_id) == client
    assert await store.find_client(client.client_id.upper()) is None
    assert await store.list_clients() == [client]


@pytest.mark.parametrize("token", [TOKEN, BARE, REFRESH])
async def test_a_token_comes_back_as_it_went(store: Store, token: TokenRecord) -> None:
    """A token that was added is found unchanged, and only by its own digest."""
    await store.add_tokens(token)
    assert await store.find_token(token.digest) == token
    assert await store.find_token(token_digest("another")) is None


async def test_a_second_client_with_the_id_is_refused(store: Store) -> None:
    """An id is registered once, and the first registration stays."""
    await store.add_client(CLIENT)
    with pytest.raises(DuplicateClientError):
        await store.add_client(dataclasses.replace(CLIENT, secret_hash="other"))
    assert await store.find_client("rs") == CLIENT


async def test_a_client_is_replaced_whole_or_not_there(store: Store) -> None:
    """Rotation and disabling are seen by the next look-up; nobody is registered by being replaced."""
    await store.add_client(CLIENT)
    changed = dataclasses.replace(CLIENT, secret_hash="new", disabled_at=5, scopes=())
    assert await store.replace_client(changed)
    assert await store.find_client("rs") == changed
    assert not await store.replace_client(EVERY_DETAIL)
    assert await store.find_client(EVERY_DETAIL.client_id) is None


async def test_tokens_are_added_together_or_not_at_all(store: Store) -> None:
    """A digest that is taken spoils the whole grant, and overwrites nothing."""
    await store.add_tokens(TOKEN)
    with pytest.raises(StoreError):
        await store.add_tokens(REFRESH, dataclasses.replace(TOKEN, client_id="other"))
    assert await store.find_token(TOKEN.digest) == TOKEN
    assert await store.find_token(REFRESH.digest) is None


@pytest.mark.shows("S93")
async def test_a_revocation_is_seen_by_every_replica_at_once(replicas: Callable[[], Store]) -> None:
    """When revoke_token has returned, no replica finds the token alive."""
    here, there = replicas(), replicas()
    await here.add_tokens(TOKEN)
    assert await there.find_token(TOKEN.digest) == TOKEN
    await here.revoke_token(TOKEN.digest, revoked_at=1030)
    assert await there.find_token(TOKEN.digest) == dataclasses.replace(TOKEN, revoked_at=1030)


@pytest.mark.shows("S93")
async def test_no_look_up_that_began_after_a_revocation_finds_the_token_alive(replicas: Callable[[], Store]) -> None:
    """Also not one that shares its trip with look-ups that began before."""
    here, there = replicas(), replicas()
    tokens = [another(f"t{number}") for number in range(50)]
    await here.add_tokens(*tokens)

    async def revoke_and_look(token: TokenRecord) -> TokenRecord | None:
        await here.revoke_token(token.digest, revoked_at=1030)
        return await there.find_token(token.digest)

    async def keep_looking() -> None:
        for _ in range(20):
            await asyncio.gather(*(there.find_token(token.digest) for token in tokens))

    looking = asyncio.create_task(keep_looking())
    found = await asyncio.gather(*map(revoke_and_look, tokens))
    await looking
    assert [token.revoked_at for token in found if token] == [1030] * 50


async def test_the_first_revocation_stays_and_unknown_ones_do_nothing(store: Store) -> None:
    """Revoking again or revoking nothing is no error and changes nothing."""
    await store.add_tokens(TOKEN)
    await store.revoke_token(TOKEN.digest, revoked_at=1030)
    await store.revoke_token(TOKEN.digest, revoked_at=1040)
    await store.revoke_token(token_digest("another"), revoked_at=1040)
    assert await store.find_token(TOKEN.digest) == dataclasses.replace(TOKEN, revoked_at=1030)


@pytest.mark.parametrize(
    ("named", "fallen"),
    [
        ({"family": "f1"}, {"t0", "t1"}),
        ({"client_id": "app"}, {"t0", "t2"}),
        ({"sub": "u2"}, {"t1"}),
        ({"jti": "t2"}, {"t2"}),
        ({"client_id": "app", "sub": "u2"}, set()),
    ],
)
async def test_tokens_fall_by_what_they_have_in_common(store: Store, named: dict[str, str], fallen: set[str]) -> None:
    """All that have every named property, and no others; told how many."""
    tokens = [
        another("t0", family="f1"),
        another("t1", family="f1", client_id="web", sub="u2"),
        another("t2", family=None),
    ]
    await store.add_tokens(*tokens)
    count = await store.revoke_tokens(**named, revoked_at=1030)
    found = [await store.find_token(token.digest) for token in tokens]
    assert {token.jti for token in found if token and token.revoked_at == 1030} == fallen
    assert count == len(fallen)
    assert await store.revoke_tokens(**named, revoked_at=1031) == 0


async def notices(store: Store, limit: int = 100) -> list[tuple[str, str]]:
    return [(notice.kind, notice.name) for notice in await store.list_notices(limit=limit)]


async def test_a_notice_is_written_with_each_revocation(replicas: Callable[[], Store]) -> None:
    """About the token, and once; of several conditions about the narrowest; nothing where nothing was revoked."""
    here, there = replicas(), replicas()
    await here.add_tokens(TOKEN, another("t0"), another("t1"), another("t2", sub="u2"))
    for revoked_at in (1030, 1031):
        await here.revoke_token(TOKEN.digest, revoked_at=revoked_at)
        await here.revoke_token(token_digest("unknown"), revoked_at=revoked_at)
    assert await notices(there) == [("jti", "j1")]
    for _ in range(2):
        await here.revoke_tokens(client_id="app", sub="u1", jti="t0", revoked_at=1032)
        await here.revoke_tokens(client_id="app", sub="u1", revoked_at=1032)
        await here.revoke_tokens(client_id="app", revoked_at=1032)
    assert await notices(there) == [("jti", "j1"), ("jti", "t0"), ("sub", "u1"), ("client_id", "app")]


async def test_with_a_family_there_is_a_notice_about_each_of_its_tokens(store: Store) -> None:
    """Caches know no families. Of what has expired nobody needs to hear."""
    await store.add_tokens(REFRESH, another("t0"), another("old", expires_at=1030), another("other", family="f2"))
    await store.revoke_tokens(family="f1", revoked_at=1030)
    assert sorted(await notices(store)) == [("jti", "j3"), ("jti", "t0")]


async def test_who_disables_a_client_writes_a_notice_about_it(store: Store) -> None:
    """Its tokens are inactive from then on. No other change of a client is told, nor one that was not made."""
    client = ClientRecord(client_id="app")
    await store.add_client(client)
    await store.replace_client(dataclasses.replace(client, secret_hash="rotated"))
    await store.replace_client(ClientRecord(client_id="nobody", disabled_at=5))
    assert await notices(store) == []
    disabled = dataclasses.replace(client, disabled_at=5)
    await store.replace_client(disabled)
    await store.replace_client(dataclasses.replace(disabled, secret_hash="rotated"))
    await store.replace_client(client)
    assert await notices(store) == [("client_id", "app")]


async def test_notices_stay_until_somebody_deletes_them(replicas: Callable[[], Store]) -> None:
    """The newest are listed, in their order; a number never comes again; one that nobody takes ends by itself."""
    here, there = replicas(), replicas()
    await here.add_tokens(*(another(f"t{number}", sub=f"u{number}", expires_at=9**9) for number in range(5)))
    for number in range(4):
        await here.revoke_tokens(sub=f"u{number}", revoked_at=1000 + number)
    assert await notices(there, limit=2) == [("sub", "u2"), ("sub", "u3")]
    numbers = [notice.number for notice in await there.list_notices(limit=10)]
    await there.delete_notices(numbers[1:])
    assert await notices(here) == [("sub", "u0")]
    await here.revoke_tokens(sub="u4", revoked_at=2000)
    assert (await here.list_notices(limit=1))[0].number not in numbers
    assert await here.delete_expired(before=2000, limit=10) == 0
    assert await here.delete_expired(before=1001 + NOTICE_SECONDS, limit=10) == 1
    assert await notices(there) == [("sub", "u4")]


async def test_nothing_named_revokes_nothing(store: Store) -> None:
    """A forgotten condition does not log out the world."""
    await store.add_tokens(TOKEN)
    with pytest.raises(ValueError, match="name"):
        await store.revoke_tokens(revoked_at=1)
    assert await store.find_token(TOKEN.digest) == TOKEN


async def test_of_two_that_exchange_one_refresh_token_one_succeeds(replicas: Callable[[], Store]) -> None:
    """RFC 9700 §4.14: a refresh token is good for one exchange, whichever replica is asked."""
    stores = [replicas() for _ in range(4)]
    await stores[0].add_tokens(REFRESH)
    results = await asyncio.gather(
        *(
            each.exchange(REFRESH.digest, used_at=1100, successors=[another(f"s{number}")])
            for number, each in enumerate(stores)
        )
    )
    assert sorted(results) == [False, False, False, True]
    kept = [await stores[0].find_token(token_digest(f"s{number}")) for number in range(4)]
    assert [successor is not None for successor in kept] == results
    used = await stores[0].find_token(REFRESH.digest)
    assert used is not None
    assert used.used_at == 1100


async def test_a_revoked_refresh_token_is_exchanged_for_nothing(store: Store) -> None:
    """Neither is an unknown one."""
    await store.add_tokens(REFRESH)
    await store.revoke_token(REFRESH.digest, revoked_at=1)
    assert not await store.exchange(REFRESH.digest, used_at=2, successors=[TOKEN])
    assert not await store.exchange(token_digest("unknown"), used_at=2, successors=[TOKEN])
    assert await store.find_token(TOKEN.digest) is None


async def test_an_exchange_that_fails_leaves_the_refresh_token_unused(store: Store) -> None:
    """A client whose exchange ended in an error may try again."""
    await store.add_tokens(REFRESH, TOKEN)
    with pytest.raises(StoreError):
        await store.exchange(REFRESH.digest, used_at=2, successors=[TOKEN])
    assert await store.exchange(REFRESH.digest, used_at=3, successors=[another("s")])


@pytest.mark.shows("S95")
async def test_an_assertion_is_good_once(replicas: Callable[[], Store]) -> None:
    """A `jti` is a client's own, and may come again when its first use has expired."""
    here, there = replicas(), replicas()
    assert await here.remember_assertion("a", "j", expires_at=100, now=50)
    assert not await there.remember_assertion("a", "j", expires_at=100, now=60)
    assert await there.remember_assertion("b", "j", expires_at=100, now=60)
    assert await there.remember_assertion("a", "j", expires_at=200, now=100)


async def test_what_expired_is_forgotten_in_small_batches(store: Store) -> None:
    """No more at once than was asked for, and nothing that is still alive."""
    await store.add_tokens(*(another(f"t{number}", expires_at=100 + number) for number in range(10)))
    await store.remember_assertion("a", "j", expires_at=100, now=50)
    await store.remember_assertion("b", "j", expires_at=104, now=50)
    await store.remember_assertion("b", "k", expires_at=105, now=50)
    assert await store.delete_expired(before=105, limit=3) == 5
    assert await store.delete_expired(before=105, limit=3) == 2
    assert await store.delete_expired(before=105, limit=3) == 0
    assert [token.expires_at for token in await store.list_tokens()] == [105, 106, 107, 108, 109]


async def test_servers_that_clean_up_together_do_not_disturb_each_other(replicas: Callable[[], Store]) -> None:
    """Each row is deleted and counted once, whoever does it."""
    stores = [replicas(), replicas()]
    await stores[0].add_tokens(*(another(f"t{number}", expires_at=number) for number in range(60)))
    counts = await asyncio.gather(*(store.delete_expired(before=60, limit=10) for store in stores * 5))
    rest = await stores[0].delete_expired(before=60, limit=100)
    assert sum(counts) + rest == 60
    assert await stores[0].list_tokens() == []


async def test_a_token_is_read_with_the_state_of_its_client(store: Store) -> None:
    """Disabling a client is seen with its tokens at once; a token without a registered client is nobody's trouble."""
    await store.add_client(ClientRecord(client_id="app"))
    await store.add_tokens(TOKEN, another("orphan", client_id="unregistered"))
    await store.replace_client(ClientRecord(client_id="app", disabled_at=5))
    assert await store.find_token(TOKEN.digest) == dataclasses.replace(TOKEN, client_disabled=True)
    orphan = await store.find_token(token_digest("orphan"))
    assert orphan is not None
    assert not orphan.client_disabled


async def test_the_newest_tokens_are_listed_first(store: Store) -> None:
    """Of one client, of one subject, or of all; no more than asked for."""
    tokens = [another(f"t{number}", issued_at=number, sub=f"u{number % 2}") for number in range(6)]
    await store.add_tokens(*tokens)
    assert [token.jti for token in await store.list_tokens(sub="u1")] == ["t5", "t3", "t1"]
    assert [token.jti for token in await store.list_tokens(client_id="app", limit=2)] == ["t5", "t4"]
    assert await store.list_tokens(client_id="nobody") == []


async def test_events_are_kept(store: Store) -> None:
    """Any member of JSON, many at once."""
    await store.add_events([{"at": 1.5, "kind": "introspected", "client_id": "rs"}, {"at": 2, "kind": "issued"}])


async def test_old_events_are_forgotten_in_small_batches(replicas: Callable[[], Store]) -> None:
    """No more at once than was asked for, each once whoever does it, and nothing that is younger."""
    stores = [replicas(), replicas()]
    await stores[0].add_events([{"at": number + 0.5, "kind": "k"} for number in range(40)])
    assert await stores[0].delete_events(before=30.5, limit=7) == 7
    counts = await asyncio.gather(*(store.delete_events(before=30.5, limit=4) for store in stores * 3))
    rest = await stores[1].delete_events(before=30.5, limit=100)
    assert sum(counts) + rest == 23
    assert await stores[0].delete_events(before=100, limit=100) == 10


async def test_a_closed_store_is_a_store_error(store: Store) -> None:
    """After close, which may be called twice, every call fails plainly."""
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.find_client("rs")
