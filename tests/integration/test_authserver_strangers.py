"""The suites of other servers, asked of ours over HTTP: it answers as they do, or otherwise on purpose."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from extauthz.authserver.admin import issue_token
from extauthz.authserver.client_auth import hash_secret
from extauthz.authserver.store.base import AuthMethod, ClientRecord, TokenKind, token_digest
from extauthz.authserver.store.sqlite import SqliteStore
from extauthz.cli.processes import Process, free_ports
from support.strangers import ANY, INACTIVE, INTROSPECTION, OWNER, REVOCATION, Case

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HASH = hash_secret(OWNER[1], rounds=4)
API = "https://api.example.com"
GRANTS = ("client_credentials", "refresh_token")
CLIENTS = (
    ClientRecord(client_id="app", secret_hash=HASH, audiences=(API,), scopes=("read", "write"), grants=GRANTS),
    ClientRecord(client_id="other", secret_hash=HASH, audiences=(API,)),
    ClientRecord(client_id="rs", secret_hash=HASH, can_introspect=True, audiences=(API,)),
    ClientRecord(client_id="public", auth_method=AuthMethod.NONE),
)
FORM = {"content-type": "application/x-www-form-urlencoded"}


class World:
    """Our server as a process, and one client's tokens of every kind."""

    def __init__(self, folder: Path) -> None:
        self._store = folder / "as.db"
        (self._port,) = free_ports(1)
        command = [sys.executable, "-m", "extauthz", "authserver", "serve", "--store", f"sqlite:///{self._store}"]
        command += ["--listen", f"127.0.0.1:{self._port}", "--issuer", "https://as.example.com"]
        self.process = Process("authorization server", command, log=folder / "log")
        self.tokens = asyncio.run(self._prepare())

    def ready(self) -> None:
        """Wait until it answers."""
        self.process.wait_for_http(f"http://127.0.0.1:{self._port}/livez", seconds=60)

    def ask(self, path: str, case: Case) -> httpx.Response:
        """Send the question."""
        form = {name: self.tokens.get(value, value) for name, value in case.form.items()}
        headers = FORM | {name: value.format(**self.tokens) for name, value in case.headers.items()}
        sent = {"params": form, "headers": headers} if case.method == "GET" else {"data": form, "headers": headers}
        with httpx.Client(auth=case.auth, trust_env=False, timeout=60) as client:
            return client.request(case.method, f"http://127.0.0.1:{self._port}/oauth2/{path}", **sent)  # type: ignore[arg-type] # by name

    def post(self, path: str, **form: str) -> httpx.Response:
        """As the client whose tokens these are."""
        return self.ask(path, Case(suite="", about="", form=form))

    def is_active(self, token: str) -> bool:
        """Whether its client is told so."""
        return self.post("introspect", token=token).json()["active"] is True

    def issue(self, **members: Any) -> str:  # noqa: ANN401 - by name
        """One more token of the client."""
        return asyncio.run(self._issue(**members))

    async def _prepare(self) -> dict[str, str]:
        async with SqliteStore(self._store) as store:
            for client in CLIENTS:
                await store.add_client(client)
            user: dict[str, Any] = {"sub": "u1", "username": "jdoe", "scope": ["read", "write"]}
            kinds: dict[str, dict[str, Any]] = {
                "access": user,
                "refresh": user | {"kind": TokenKind.REFRESH},
                "machine": {"scope": ["read"]},
                "expired": user | {"now": time.time() - 1000},
                "used": user | {"kind": TokenKind.REFRESH},
            }
            tokens = {name: await self._issue(**members) for name, members in kinds.items()}
            await store.exchange(token_digest(tokens["used"]), used_at=int(time.time()), successors=())
        return tokens

    async def _issue(self, **members: Any) -> str:  # noqa: ANN401 - by name
        given: dict[str, Any] = {"client_id": "app", "audience": [API], "ttl_seconds": 600, "now": time.time()}
        async with SqliteStore(self._store) as store:
            token, _ = await issue_token(store, **(given | members))
        return token


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(tmp_path_factory.mktemp("authserver"))
    with world.process:
        world.ready()
        yield world


def name(case: Case) -> str:
    return f"{case.suite}: {case.about}"


@pytest.mark.parametrize("case", INTROSPECTION, ids=name)
def test_introspection_is_as_they_expect(world: World, case: Case) -> None:
    """The status, the members that they look at, and no others of an inactive token; nothing is to be stored."""
    answer = world.ask("introspect", case)
    assert answer.status_code == case.status
    assert "no-store" in answer.headers["cache-control"]
    said = answer.json() if answer.content else {}
    assert said == INACTIVE if case.says == INACTIVE else case.says.keys() <= said.keys()
    assert {name: said[name] for name, value in case.says.items() if value is not ANY} == {
        name: value for name, value in case.says.items() if value is not ANY
    }
    assert said.keys().isdisjoint(case.absent)


@pytest.mark.parametrize("case", REVOCATION, ids=name)
def test_revocation_is_as_they_expect(world: World, case: Case) -> None:
    """None of these revokes anything."""
    assert world.ask("revoke", case).status_code == case.status
    assert world.is_active(world.tokens["access"])


@pytest.mark.parametrize("hint", ["", "access_token", "refresh_token", "bad_hint"])
def test_a_token_is_revoked_whatever_the_hint(world: World, hint: str) -> None:
    """Authlib, django-oauth-toolkit: the owner's token is found, and may be revoked again.

    The second has an empty body, where ours is an empty object; RFC 7009 §2.2 has clients look at neither.
    """
    token = world.issue()
    for _ in range(2):
        assert world.post("revoke", token=token, **({"token_type_hint": hint} if hint else {})).status_code == 200
    assert not world.is_active(token)


@pytest.mark.parametrize("first", ["nothing", "access"])
def test_with_a_refresh_token_its_access_token_falls(world: World, first: str) -> None:
    """django-oauth-toolkit: also where the access token had been revoked before."""
    refresh = world.issue(kind=TokenKind.REFRESH)
    exchanged = world.post("token", grant_type="refresh_token", refresh_token=refresh).json()
    access, refresh = exchanged["access_token"], exchanged["refresh_token"]
    assert world.is_active(access)
    for token in (access, refresh) if first == "access" else (refresh,):
        assert world.post("revoke", token=token).status_code == 200
    assert not world.is_active(access)
    assert not world.is_active(refresh)


def test_where_introspection_is_can_be_found_out(world: World) -> None:
    """oidc-provider: the metadata names the endpoint."""
    page = world.ask("../.well-known/oauth-authorization-server", Case(suite="", about="", method="GET", auth=None))
    assert page.json()["introspection_endpoint"].endswith("/oauth2/introspect")
