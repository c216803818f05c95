"""``extauthz token``: issue, list and revoke tokens."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from extauthz.authserver.admin import issue_token
from extauthz.authserver.meaning import why_unusable
from extauthz.authserver.registry import revoke_presented
from extauthz.authserver.store.base import TokenKind
from extauthz.cli.authserver.options import Claim, ScopeText, WholeSeconds, json_option, store_options
from extauthz.cli.authserver.stores import with_store
from extauthz.cli.authserver.tables import show, told_time

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.authserver.store.base import Store, TokenRecord
    from extauthz.config.store_address import StoreAddress

MAX_TOKEN_BYTES = 16 * 1024
"""A longer text in a file is no token."""


@click.group()
def token() -> None:
    """Issue and revoke tokens of the embedded authorization server."""


@token.command("issue")
@store_options()
@click.option("--sub", help="The user that the token stands for; none for a client of its own.")
@click.option("--client", "client_id", required=True, help="The client that the token is issued to.")
@click.option("--scope", type=ScopeText(), default=(), help="Scopes with one space between them.")
@click.option("--audience", multiple=True, help="An audience of the token; may be given more than once.")
@click.option("--claim", "claims", type=Claim(), multiple=True, help="NAME=JSON: a member of its introspection answer.")
@click.option("--refresh", is_flag=True, help="Issue a refresh token instead, which the client exchanges.")
@click.option("--ttl", "ttl_seconds", type=WholeSeconds(), default="1h", show_default=True, help="The lifetime.")
@json_option
def token_issue(
    *,
    address: StoreAddress,
    password_file: Path | None,
    claims: tuple[tuple[str, object], ...],
    refresh: bool,
    as_json: bool,
    **grant: Any,  # noqa: ANN401 - the other options, as issue_token has them
) -> None:
    """Issue a token and print it, and nothing else."""
    kind = TokenKind.REFRESH if refresh else TokenKind.ACCESS

    async def issue(store: Store) -> tuple[str, TokenRecord]:
        return await issue_token(store, now=time.time(), claims=dict(claims), kind=kind, **grant)

    text, record = with_store(address, password_file, issue)
    told = {"token": text, "jti": record.jti, "expires_at": told_time(record.expires_at)}
    click.echo(json.dumps(told) if as_json else text)


@token.command("list")
@store_options()
@click.option("--client", "client_id", help="Only tokens that were issued to this client.")
@click.option("--sub", help="Only tokens that stand for this user.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True, help="The newest so many.")
@json_option
def token_list(
    *,
    address: StoreAddress,
    password_file: Path | None,
    client_id: str | None,
    sub: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List tokens by their jti, the newest first. The tokens themselves are kept nowhere."""

    async def read(store: Store) -> list[TokenRecord]:
        return list(await store.list_tokens(client_id=client_id, sub=sub, limit=limit))

    records = with_store(address, password_file, read)
    now = time.time()
    show([_row(record, now) for record in records], as_json=as_json, nothing="no tokens")


@token.command("revoke")
@store_options()
@click.option("--jti", help="The token with this jti.")
@click.option("--sub", help="All tokens that stand for this user.")
@click.option("--client", "client_id", help="All tokens that were issued to this client.")
@click.option(
    "--token-file",
    type=click.File("rb"),
    help="The token in this file, - for standard input; with a refresh token all that it led to.",
)
@json_option
def token_revoke(
    *,
    address: StoreAddress,
    password_file: Path | None,
    jti: str | None,
    sub: str | None,
    client_id: str | None,
    token_file: BinaryIO | None,
    as_json: bool,
) -> None:
    """Revoke tokens, at once and for good. Of several conditions all must hold. Tells how many it were."""
    named = {"jti": jti, "sub": sub, "client_id": client_id}
    if any(value is not None for value in named.values()) is (token_file is not None):
        raise click.UsageError("name what is to be revoked: --jti, --sub and --client, or else --token-file")
    presented = None if token_file is None else _read_token(token_file)

    async def revoke(store: Store) -> int:
        now = int(time.time())
        if presented is not None:
            return await revoke_presented(store, presented, now=now)
        return await store.revoke_tokens(**named, revoked_at=now)

    count = with_store(address, password_file, revoke)
    click.echo(json.dumps({"revoked": count}) if as_json else f"{count} revoked")


def _read_token(file: BinaryIO) -> str:
    content = file.read(MAX_TOKEN_BYTES + 1).strip()
    if not content or len(content) > MAX_TOKEN_BYTES or not content.isascii() or len(content.split()) > 1:
        raise click.ClickException("--token-file: this is not one token")
    return content.decode()


def _row(record: TokenRecord, now: float) -> dict[str, object]:
    return {
        "jti": record.jti,
        "kind": record.kind.value,
        "client": record.client_id,
        "sub": record.sub,
        "scope": " ".join(record.scope),
        "audience": list(record.audience),
        "issued": told_time(record.issued_at),
        "expires": told_time(record.expires_at),
        "state": _state(record, now),
    }


def _state(record: TokenRecord, now: float) -> str:
    why = why_unusable(record, now)
    return "active" if why is None else why.value
