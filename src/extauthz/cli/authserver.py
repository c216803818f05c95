"""The commands of the embedded authorization server: ``authserver``, ``client`` and ``token``."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import signal
import time
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import urlsplit

import click
import h2corn
import uvloop

from extauthz.authserver.admin import add_client, issue_token
from extauthz.authserver.asgi import create_app
from extauthz.authserver.cleanup import clean_up
from extauthz.authserver.notify import notifying
from extauthz.authserver.service import Service
from extauthz.authserver.store.base import DuplicateClientError, StoreError, TokenKind
from extauthz.authserver.store.opening import open_store
from extauthz.authserver.store.sql import SqlStore
from extauthz.core.scopes import parse_scope

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from extauthz.authserver.store.base import TokenRecord

_T = TypeVar("_T")

_DURATION: Final = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_UNIT_MILLISECONDS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class WholeSeconds(click.ParamType[int]):
    """A duration with its unit, such as ``90s`` or ``1h``, as a number of whole seconds."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = _DURATION.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is not a number with a unit: write 500ms, 30s, 5m, 1h or 7d", param, ctx)
        seconds, rest = divmod(int(match[1]) * _UNIT_MILLISECONDS[match[2]], 1000)
        if rest or not seconds:
            self.fail(f"{value!r} is not a whole number of seconds, at least 1s", param, ctx)
        return seconds


class StoreUrl(click.ParamType[SqlStore]):
    """``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``postgresql://user@host/name``, as a store."""

    name = "url"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> SqlStore:
        if isinstance(value, SqlStore):
            return value
        try:
            return open_store(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class NotifyUrl(click.ParamType[str]):
    """``https://…``, or ``http://…`` on this machine: a secret goes there."""

    name = "url"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        url = urlsplit(str(value))
        if url.scheme not in {"http", "https"} or not url.hostname:
            self.fail("write a whole URL, such as http://127.0.0.1:9192/revoke", param, ctx)
        if url.scheme == "http" and not _is_here(url.hostname):
            self.fail("use https: a secret would cross the network in plain text", param, ctx)
        return str(value)


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class ScopeText(click.ParamType[tuple[str, ...]]):
    """Scopes with one space between them (RFC 6749 §3.3)."""

    name = "scope"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return parse_scope(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Claim(click.ParamType[tuple[str, object]]):
    """``NAME=JSON``, as the name and the value."""

    name = "claim"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, object]:
        if isinstance(value, tuple):
            return value
        name, _, text = str(value).partition("=")
        try:
            return name, json.loads(text)
        except ValueError:
            self.fail(f"{value!r} is not NAME=JSON: write acr='\"urn:mfa\"' or auth_time=1700000000", param, ctx)


_store_option = click.option(
    "--store",
    "store",
    type=StoreUrl(),
    required=True,
    help="Where clients and tokens are kept: sqlite:///path.db or postgresql://user@host/name.",
)


@click.group()
def authserver() -> None:
    """Run the embedded authorization server."""


@authserver.command()
@click.option("--listen", default="127.0.0.1:9190", show_default=True, help="HOST:PORT to listen on.")
@click.option("--issuer", default="http://127.0.0.1:9190", show_default=True, help="The URL that clients know it by.")
@_store_option
@click.option(
    "--notify",
    "urls",
    type=NotifyUrl(),
    multiple=True,
    help="Tell this address which tokens were revoked: http://HOST:PORT/revoke of extauthz's ops listener.",
)
@click.option(
    "--notify-token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The token of that ops listener.",
)
def serve(*, listen: str, issuer: str, store: SqlStore, urls: tuple[str, ...], notify_token_file: Path | None) -> None:
    """Serve token, introspection, revocation and metadata over HTTP until SIGTERM or SIGINT."""
    if urls and notify_token_file is None:
        raise click.UsageError("--notify needs --notify-token-file")
    secret = "" if notify_token_file is None else _read_secret(notify_token_file)
    _run(_serve(listen, issuer, store, [(url, secret) for url in urls]))


@click.group()
def client() -> None:
    """Register clients of the embedded authorization server."""


@client.command("add")
@click.argument("client_id", metavar="ID")
@_store_option
@click.option(
    "--secret-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Read the secret from this file, without the newline at its end. Else one is made and printed, once.",
)
@click.option("--can-introspect", is_flag=True, help="A resource server: it sees the tokens of its audiences.")
@click.option("--audience", "audiences", multiple=True, help="An audience; '*' shows a resource server all of them.")
@click.option(
    "--scope", "scopes", type=ScopeText(), default=(), help="What it may ask for; what a resource server is shown."
)
def client_add(
    *,
    client_id: str,
    store: SqlStore,
    secret_file: Path | None,
    can_introspect: bool,
    audiences: tuple[str, ...],
    scopes: tuple[str, ...],
) -> None:
    """Register the client ID."""
    secret = secrets.token_urlsafe(32) if secret_file is None else _read_secret(secret_file)

    async def add() -> None:
        async with store:
            await add_client(
                store,
                client_id=client_id,
                secret=secret,
                can_introspect=can_introspect,
                audiences=audiences,
                scopes=scopes,
            )

    _run(add())
    if secret_file is None:
        click.echo(secret)


@click.group()
def token() -> None:
    """Issue tokens of the embedded authorization server."""


@token.command("issue")
@_store_option
@click.option("--sub", help="The user that the token stands for; none for a client of its own.")
@click.option("--client", "client_id", required=True, help="The client that the token is issued to.")
@click.option("--scope", type=ScopeText(), default=(), help="Scopes with one space between them.")
@click.option("--audience", multiple=True, help="An audience of the token; may be given more than once.")
@click.option("--claim", "claims", type=Claim(), multiple=True, help="NAME=JSON: a member of its introspection answer.")
@click.option("--refresh", is_flag=True, help="Issue a refresh token instead, which the client exchanges.")
@click.option("--ttl", "ttl_seconds", type=WholeSeconds(), default="1h", show_default=True, help="The lifetime.")
def token_issue(
    *,
    store: SqlStore,
    sub: str | None,
    client_id: str,
    scope: tuple[str, ...],
    audience: tuple[str, ...],
    claims: tuple[tuple[str, object], ...],
    refresh: bool,
    ttl_seconds: int,
) -> None:
    """Issue a token and print it, and nothing else."""

    async def issue() -> tuple[str, TokenRecord]:
        async with store:
            return await issue_token(
                store,
                client_id=client_id,
                sub=sub,
                scope=scope,
                audience=audience,
                claims=dict(claims),
                kind=TokenKind.REFRESH if refresh else TokenKind.ACCESS,
                ttl_seconds=ttl_seconds,
                now=time.time(),
            )

    issued, _ = _run(issue())
    click.echo(issued)


async def _serve(listen: str, issuer: str, store: SqlStore, notified: Sequence[tuple[str, str]]) -> None:
    async with store, notifying(notified) as tell:
        app = create_app(Service(store, issuer, time.time, on_revoked=tell))
        config = h2corn.Config(bind=(listen,), access_log=False, date_header=False, lifespan="on")
        server = h2corn.Server(app, config)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, server.shutdown)
        cleaning = asyncio.create_task(clean_up(store, time.time))
        try:
            await server.serve()
        finally:
            cleaning.cancel()


def _run(work: Coroutine[object, object, _T]) -> _T:
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(work)
    except (DuplicateClientError, StoreError, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def _read_secret(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path}: the secret is not readable as UTF-8 text") from error
