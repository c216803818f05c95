"""`extauthz authserver migrate` and `backup`: looking after the store."""

from pathlib import Path

import click

from extauthz.authserver.store.opening import open_store
from extauthz.authserver.store.sqlite import SqliteStore
from extauthz.cli.authserver.options import read_secret, store_options
from extauthz.cli.authserver.stores import check_there, run
from extauthz.cli.authserver.tables import tell_person
from extauthz.config.store_address import StoreAddress


@click.command()
@store_options()
def migrate(*, address: StoreAddress, password_file: Path | None) -> None:
    """Bring the schema of the store up to date, or make it.

    PostgreSQL needs this before the first start and after an update; a file of SQLite is brought up to date by
    whatever opens it.
    """
    if address.path:
        run(_open_once(address.path))
        click.echo(f"{address}: up to date")
        return
    password = None if password_file is None else read_secret(password_file)
    tell_person("migrating")
    before, after = run(_migrate(address.with_password(password)))
    click.echo(f"{address}: up to date" if before == after else f"{address}: from schema {before} to {after}")


@click.command()
@store_options()
@click.argument("target", type=click.Path(path_type=Path))
def backup(*, address: StoreAddress, password_file: Path | None, target: Path) -> None:
    """Copy a SQLite store, while it is in use, into the new private file TARGET."""
    if not address.path:
        raise click.UsageError(f"PostgreSQL has a tool for this: pg_dump --format=custom --file={target} {address}")
    if password_file is not None:
        raise click.UsageError("a SQLite store has no password")
    check_there(address)
    if target.exists():
        raise click.ClickException(f"{target} exists already: name a new file, or move that one away")
    tell_person("copying")
    run(_back_up(address.path, target))
    click.echo(f"{target}: {target.stat().st_size} bytes")


async def _migrate(url: str) -> tuple[int, int]:
    open_store(url)  # tells of a missing driver
    from extauthz.authserver.store import postgres  # noqa: PLC0415 - its driver is optional

    return await postgres.migrate(url)


async def _open_once(path: str) -> None:
    async with SqliteStore(path):
        pass


async def _back_up(path: str, target: Path) -> None:
    async with SqliteStore(path) as store:
        await store.backup(target)
