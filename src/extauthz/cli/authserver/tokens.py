"""`extauthz token`: issue and list tokens; revoking them is in `revoking`."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from extauthz.authserver.admin import issue_token
from extauthz.authserver.meaning import why_unusable
from extauthz.authserver.store.base import Store, TokenKind, TokenRecord
from extauthz.cli.authserver.options import Claim, ScopeText, WholeSeconds, json_option, store_options
from extauthz.cli.authserver.revoking import token_revoke
from extauthz.cli.authserver.stores import with_existing_store, with_store
from extauthz.cli.authserver.tables import show, told_time
from extauthz.config.store_address import StoreAddress


@click.group()
def token() -> None:
    """Issue and revoke tokens of the embedded authorization server."""


token.add_command(token_revoke)


@token.command("issue")
@store_options()
@click.option("--sub", help="The user that the token stands for; none for a client of its own.")
@click.option("--username", help="What that user is called, for people to read.")
@click.option("--client", "client_id", required=True, help="The client that the token is issued to.")
@click.option("--scope", type=ScopeText(), default=(), help="Scopes with one space between them.")
@click.option("--audience", multiple=True, help="An audience of the token; may be given more than once.")
@click.option("--claim", "claims", type=Claim(), multiple=True, help="NAME=JSON: a member of its introspection answer.")
@click.option("--refresh", is_flag=True, help="Issue a refresh token instead, which the client exchanges.")
@click.option("--ttl", "ttl_seconds", type=WholeSeconds(), default="1h", show_default=True, help="The lifetime.")
@click.option("--not-before", "delay_seconds", type=WholeSeconds(), help="It is good only from so long after now on.")
@json_option
def token_issue(
    *,
    address: StoreAddress,
    password_file: Path | None,
    claims: tuple[tuple[str, object], ...],
    refresh: bool,
    delay_seconds: int | None,
    as_json: bool,
    **grant: Any,  # noqa: ANN401 - the other options, as issue_token has them
) -> None:
    """Issue a token and print it, and nothing else."""
    kind = TokenKind.REFRESH if refresh else TokenKind.ACCESS
    members = _once_each(claims)
    now = time.time()
    not_before = None if delay_seconds is None else int(now) + delay_seconds

    async def issue(store: Store) -> tuple[str, TokenRecord]:
        if await store.find_client(grant["client_id"]) is None:
            click.echo(f"no client {grant['client_id']!r} is registered; its token is good all the same", err=True)
        return await issue_token(store, now=now, claims=members, kind=kind, not_before=not_before, **grant)

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

    records = with_existing_store(address, password_file, read)
    now = time.time()
    show([_row(record, now) for record in records], as_json=as_json, nothing="no tokens")


def _once_each(claims: Sequence[tuple[str, object]]) -> dict[str, object]:
    members = dict(claims)
    if len(members) < len(claims):
        raise click.UsageError(f"each --claim once: {', '.join(name for name, _ in claims)}")
    return members


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
