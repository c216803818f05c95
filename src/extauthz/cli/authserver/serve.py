"""`extauthz authserver serve`: from a file, from options, or from a file with options that override it."""

import logging
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import click

from extauthz.cli.authserver.configured import Checked, config_option, notified_by, notify_options, read_config
from extauthz.cli.authserver.options import read_secret, store_options
from extauthz.cli.authserver.running import STOP_SECONDS, work
from extauthz.cli.authserver.stores import run
from extauthz.cli.listeners import listening
from extauthz.cli.supervisor import Supervisor
from extauthz.cli.worker import Sockets
from extauthz.config.authserver_load import AuthServerConfig
from extauthz.config.authserver_schema import AuthServerFile
from extauthz.config.store_address import StoreAddress
from extauthz.config.values import Address, check_url, parse_address
from extauthz.observe.logs import configure

_LISTEN = "127.0.0.1:9190"
_ISSUER = "http://127.0.0.1:9190"


@click.command()
@config_option
@click.option("--listen", type=Checked("address", parse_address), help=f"HOST:PORT to listen on.  [default: {_LISTEN}]")
@click.option(
    "--issuer", type=Checked("url", check_url), help=f"The URL that clients know it by.  [default: {_ISSUER}]"
)
@store_options(required=False)
@notify_options
@click.option("--inherited", hidden=True, help="Descriptors of open listeners, from the supervisor.")
@click.option("--together", hidden=True, expose_value=False, help="The workers' folder: these share nothing in it.")
def serve(
    *,
    config_path: Path | None,
    listen: Address | None,
    issuer: str | None,
    address: StoreAddress | None,
    password_file: Path | None,
    urls: tuple[str, ...],
    notify_token_file: Path | None,
    inherited: str | None,
) -> None:
    """Serve token, introspection and revocation over HTTP until SIGTERM or SIGINT. SIGHUP reads certificates again."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.WARNING)
    config = _from_options(address) if config_path is None else read_config(config_path)
    settings = {"listen": listen, "issuer": issuer}
    settings = {name: value for name, value in settings.items() if value is not None}
    config = replace(
        config,
        settings=config.settings.model_copy(update=settings),
        store=address or config.store,
        notified=notified_by(urls, notify_token_file) or config.notified,
        store_password=config.store_password if password_file is None else read_secret(password_file),
    )
    if inherited is not None:
        gateway, ops = map(int, inherited.split(","))
        run(work(config, Sockets(gateway=gateway, ops=ops, supervised=True)))
    else:
        notify = [part for url in urls for part in ("--notify", url)]
        overrides = _overrides(listen, issuer, address, password_file, notify_token_file)
        _serve(config, config_path, [*overrides, *notify])


def _from_options(address: StoreAddress | None) -> AuthServerConfig:
    if address is None:
        raise click.UsageError("name a store, --store sqlite:///as.db, or a file that does, --config authserver.yaml")
    settings = AuthServerFile.model_validate(
        {"listen": _LISTEN, "issuer": _ISSUER, "store": str(address), "audit": "off"}
    )
    return AuthServerConfig(settings=settings, folder=Path(), store=address)


def _overrides(
    listen: Address | None,
    issuer: str | None,
    address: StoreAddress | None,
    password_file: Path | None,
    notify_token_file: Path | None,
) -> list[str]:
    """The options again, for the workers."""
    given = {
        "--listen": listen,
        "--issuer": issuer,
        "--store": address,
        "--store-password-file": password_file,
        "--notify-token-file": notify_token_file,
    }
    return [part for name, value in given.items() if value is not None for part in (name, str(value))]


def _serve(config: AuthServerConfig, config_path: Path | None, overrides: list[str]) -> None:
    settings = config.settings
    try:
        with ExitStack() as opened:
            gateway = opened.enter_context(listening(settings.listen)).fileno()
            # Without a listener for metrics a worker opens none; its place among the descriptors is still taken.
            ops = gateway if settings.ops is None else opened.enter_context(listening(settings.ops)).fileno()
            sockets = Sockets(gateway=gateway, ops=ops)
            if config_path is None or settings.workers == 1:
                run(work(config, sockets))
            else:
                run(_supervise(settings.workers, config_path, sockets, overrides))
    except OSError as error:
        raise click.ClickException(str(error)) from error


async def _supervise(workers: int, config_path: Path, sockets: Sockets, overrides: list[str]) -> None:
    configure("info", "json")  # to standard error: standard output may be the record
    command = ("authserver", "serve", *overrides)
    await Supervisor(
        count=workers, config_path=config_path, sockets=sockets, drain_delay=STOP_SECONDS, command=command
    ).run()
