"""`extauthz token revoke`: in the store, and then in the caches of those who are to be told."""

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

import click

from extauthz.authserver.notify import Notice, deliver
from extauthz.authserver.registry import revoke_presented
from extauthz.authserver.store.base import Store
from extauthz.cli.authserver.configured import config_option, notified_by, notify_options, read_config
from extauthz.cli.authserver.options import json_option, read_secret, store_options
from extauthz.cli.authserver.stores import check_there, run, with_store_at
from extauthz.config.store_address import StoreAddress

MAX_TOKEN_BYTES = 16 * 1024
"""A longer text in a file is no token."""

NOT_TOLD = 3
"""Exit status when the tokens are revoked, and somebody who caches them could not be told."""


class _Target(NamedTuple):
    """The store, its password, and who is told."""

    address: StoreAddress
    password: str | None
    notified: tuple[tuple[str, str], ...]


@click.command("revoke")
@config_option
@store_options(required=False)
@click.option("--jti", help="The token with this jti.")
@click.option("--sub", help="All tokens that stand for this user.")
@click.option("--client", "client_id", help="All tokens that were issued to this client.")
@click.option(
    "--token-file",
    type=click.File("rb"),
    help="The token in this file, - for standard input; with a refresh token all that it led to.",
)
@notify_options
@json_option
def token_revoke(
    *,
    config_path: Path | None,
    address: StoreAddress | None,
    password_file: Path | None,
    jti: str | None,
    sub: str | None,
    client_id: str | None,
    token_file: BinaryIO | None,
    urls: tuple[str, ...],
    notify_token_file: Path | None,
    as_json: bool,
) -> None:
    """Revoke tokens, at once and for good. Of several conditions all must hold. Tells how many it were.

    Whoever --notify, or `notify` in the file, names is told. When that fails the tokens are revoked nevertheless, and
    the exit status is 3; the same command again tells them again.
    """
    named = {"jti": jti, "sub": sub, "client_id": client_id}
    if any(value is not None for value in named.values()) is (token_file is not None):
        raise click.UsageError("name what is to be revoked: --jti, --sub and --client, or else --token-file")
    presented = None if token_file is None else _read_token(token_file)
    password = None if password_file is None else read_secret(password_file)
    target = _target(config_path, address, password, notified_by(urls, notify_token_file))

    async def revoke(store: Store) -> tuple[int, Notice]:
        now = int(time.time())
        if presented is not None:
            count, names = await revoke_presented(store, presented, now=now)
            return count, {"jti": names}
        return await store.revoke_tokens(**named, revoked_at=now), _narrowest(named)

    check_there(target.address)
    count, notice = with_store_at(target.address, target.password, revoke)
    _report(count, run(deliver(target.notified, notice)), as_json=as_json)


def _target(
    config_path: Path | None, address: StoreAddress | None, password: str | None, notified: tuple[tuple[str, str], ...]
) -> _Target:
    """What the file says, where the options do not."""
    if config_path is not None:
        config = read_config(config_path)
        return _Target(address or config.store, password or config.store_password, notified or config.notified)
    if address is None:
        raise click.UsageError("name a store, --store sqlite:///as.db, or a file that does, --config authserver.yaml")
    return _Target(address, password, notified)


def _narrowest(named: Mapping[str, str | None]) -> Notice:
    """One condition for the caches: what they forget without need they ask for again."""
    return next({kind: (name,)} for kind, name in named.items() if name is not None)


def _report(count: int, troubles: Mapping[str, str], *, as_json: bool) -> None:
    failed = {url: trouble for url, trouble in troubles.items() if trouble}
    told = [url for url in troubles if url not in failed]
    if as_json:
        click.echo(json.dumps({"revoked": count, "told": told, "not_told": failed}))
    else:
        click.echo(f"{count} revoked" + (f", {len(told)} of {len(troubles)} told" if troubles else ""))
    for url, trouble in failed.items():
        click.echo(f"{url} was not told, and may go on for its cache.ttl: {trouble}", err=True)
    if failed:
        sys.exit(NOT_TOLD)


def _read_token(file: BinaryIO) -> str:
    content = file.read(MAX_TOKEN_BYTES + 1).strip()
    if not content or len(content) > MAX_TOKEN_BYTES or not content.isascii() or len(content.split()) > 1:
        raise click.ClickException("--token-file: this is not one token")
    return content.decode()
