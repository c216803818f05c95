"""Registering clients and issuing tokens without HTTP."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import bcrypt
import pytest

from extauthz.authserver.admin import add_client, issue_token
from extauthz.authserver.minting import MAX_TTL_SECONDS
from extauthz.authserver.store.base import DuplicateClientError, token_digest
from extauthz.authserver.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore(tmp_path / "as.db") as store:
        yield store


@pytest.mark.shows("S92")
async def test_token_is_256_random_bits_stored_as_digest(store: SqliteStore) -> None:
    """A token is 32 random bytes, and the store knows it by its SHA-256 only."""
    token, record = await issue_token(store, client_id="app", ttl_seconds=60, now=1000.0)
    assert len(base64.urlsafe_b64decode(token + "=")) == 32
    assert record.digest == token_digest(token)
    assert await store.find_token(token_digest(token)) == record
    assert token not in repr(record)
    assert record.jti not in token


async def test_record_says_what_was_asked_for(store: SqliteStore) -> None:
    """Times are whole seconds from now, and lists lose their duplicates."""
    _, record = await issue_token(
        store,
        client_id="app",
        sub="u1",
        username="jdoe",
        scope=["b", "a", "b"],
        audience=["x", "y", "x"],
        ttl_seconds=60,
        now=1000.9,
        not_before=1010,
    )
    assert (record.sub, record.username, record.scope, record.audience) == ("u1", "jdoe", ("b", "a"), ("x", "y"))
    assert (record.issued_at, record.not_before, record.expires_at) == (1000, 1010, 1060)


async def test_two_tokens_have_nothing_in_common(store: SqliteStore) -> None:
    """The same request twice gives two tokens with two names."""
    first, one = await issue_token(store, client_id="app", ttl_seconds=60, now=1000.0)
    second, two = await issue_token(store, client_id="app", ttl_seconds=60, now=1000.0)
    assert first != second
    assert one.jti != two.jti


@pytest.mark.parametrize("ttl_seconds", [0, -1, MAX_TTL_SECONDS + 1])
async def test_lifetime_has_bounds(store: SqliteStore, ttl_seconds: int) -> None:
    """A token lives at least a second and at most ten years."""
    with pytest.raises(ValueError, match="lifetime"):
        await issue_token(store, client_id="app", ttl_seconds=ttl_seconds, now=1000.0)


@pytest.mark.parametrize("scope", [['a"b'], ["a", ""], ["a\tb"]])
async def test_scope_outside_the_grammar_is_refused(store: SqliteStore, scope: list[str]) -> None:
    """No token carries a scope that RFC 6749 §3.3 does not allow."""
    with pytest.raises(ValueError, match="scope"):
        await issue_token(store, client_id="app", scope=scope, ttl_seconds=60, now=1000.0)


@pytest.mark.parametrize("audience", ["*", ""])
async def test_token_is_never_for_everybody(store: SqliteStore, audience: str) -> None:
    """The word that shows a resource server every token is no audience of a token."""
    with pytest.raises(ValueError, match="audience"):
        await issue_token(store, client_id="app", audience=["x", audience], ttl_seconds=60, now=1000.0)


@pytest.mark.parametrize(("client_id", "sub"), [("", None), ("app", "")])
async def test_empty_names_are_refused(store: SqliteStore, client_id: str, sub: str | None) -> None:
    """A client id or a subject is absent or has characters."""
    with pytest.raises(ValueError, match="not empty"):
        await issue_token(store, client_id=client_id, sub=sub, ttl_seconds=60, now=1000.0)


async def test_client_secret_is_stored_as_bcrypt(store: SqliteStore) -> None:
    """What is stored of a secret is its bcrypt hash, and no repr shows either."""
    client = await add_client(store, client_id="rs", secret="s3cret", audiences=["x"], scopes=["a"], rounds=4)
    assert await store.find_client("rs") == client
    assert bcrypt.checkpw(b"s3cret", client.secret_hash.encode())
    assert "s3cret" not in repr(client)
    assert client.secret_hash not in repr(client)


async def test_duplicate_client_is_refused_and_changes_nothing(store: SqliteStore) -> None:
    """Registering an id again is a clear error, and the first registration stays."""
    first = await add_client(store, client_id="rs", secret="one", rounds=4)
    with pytest.raises(DuplicateClientError, match="'rs' is registered already"):
        await add_client(store, client_id="rs", secret="two", can_introspect=True, rounds=4)
    assert await store.find_client("rs") == first


@pytest.mark.parametrize("client_id", ["", "a\nb", "a\x00"])
async def test_client_id_is_printable(store: SqliteStore, client_id: str) -> None:
    """An id that cannot be printed, or is empty, is refused."""
    with pytest.raises(ValueError, match="printable"):
        await add_client(store, client_id=client_id, secret="x", rounds=4)


async def test_empty_audience_is_refused(store: SqliteStore) -> None:
    """An empty audience would match nothing that is meant."""
    with pytest.raises(ValueError, match="audience"):
        await add_client(store, client_id="rs", secret="x", audiences=[""], rounds=4)
