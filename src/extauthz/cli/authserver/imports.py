"""`extauthz client import`: bring the clients to what a file says, as often as one likes."""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import click

from extauthz.authserver.registry import Change, Step, Wanted, carry_out, plan_prune, plan_step
from extauthz.authserver.store.base import Store
from extauthz.cli.authserver.options import WholeSeconds, existing_file, json_option, store_options
from extauthz.cli.authserver.stores import with_store
from extauthz.cli.authserver.tables import show
from extauthz.config.clients_file import ReadClient, load_clients
from extauthz.config.faults import ConfigError
from extauthz.config.store_address import StoreAddress

BAD_FILE = 2
"""Exit status when the file has faults; nothing was changed."""


@click.command("import")
@click.argument("file", type=existing_file)
@store_options()
@click.option("--prune", is_flag=True, help="Disable the clients that the file does not name.")
@click.option("--dry-run", is_flag=True, help="Tell what would be done, and do nothing.")
@click.option(
    "--grace",
    type=WholeSeconds(least=0),
    default="24h",
    show_default=True,
    help="How long a secret stays good that the file replaces.",
)
@json_option
def import_clients(
    *,
    file: Path,
    address: StoreAddress,
    password_file: Path | None,
    prune: bool,
    dry_run: bool,
    grace: int,
    as_json: bool,
) -> None:
    """Bring the clients to what FILE says. Doing it twice changes nothing the second time."""
    try:
        wanted = [_wanted(client) for client in load_clients(file, os.environ)]
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(BAD_FILE)
    if prune and not wanted:
        raise click.ClickException(f"{file} names no client: --prune would disable all, which `client disable` does")

    async def bring(store: Store) -> list[Step]:
        steps = await _plan(store, wanted, grace_seconds=grace, prune=prune)
        if not dry_run:
            for step in steps:
                await carry_out(store, step)
        return steps

    steps = with_store(address, password_file, bring)
    rows = [{"client": step.client.client_id, "change": step.change.value} for step in steps]
    told = rows if as_json else [row for row in rows if row["change"] != Change.NOTHING]
    show(told, as_json=as_json, nothing="nothing to change")


async def _plan(store: Store, wanted: Sequence[Wanted], *, grace_seconds: int, prune: bool) -> list[Step]:
    """All steps are known to be possible before the first is done."""
    existing = {client.client_id: client for client in await store.list_clients()}
    now = time.time()
    # Most of the time goes into bcrypt: a fifth of a second for each secret.
    with click.progressbar(wanted, label="comparing", file=sys.stderr, hidden=not sys.stderr.isatty()) as shown:
        steps = [
            await plan_step(one, existing.get(one.client_id), now=now, grace_seconds=grace_seconds) for one in shown
        ]
    if prune:
        steps += plan_prune(list(existing.values()), frozenset(one.client_id for one in wanted), now=now)
    return steps


def _wanted(client: ReadClient) -> Wanted:
    entry = client.entry
    return Wanted(
        client_id=client.client_id,
        secret=client.secret,
        can_introspect=entry.can_introspect,
        audiences=entry.audiences,
        scopes=entry.scopes,
        networks=tuple(map(str, entry.networks)),
        grants=entry.grants,
        jwt_access_tokens=entry.jwt_access_tokens,
        certificate_bound_tokens=entry.certificate_bound_tokens,
        keys=client.keys,
        certificate_subject=entry.certificate_subject or "",
        disabled=entry.disabled,
    )
