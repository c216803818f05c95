"""`extauthz serve` and `extauthz check`."""

import os
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn, TypeVar

import click
import uvloop

from extauthz.app_record import check_audit_file
from extauthz.cli.listeners import listening
from extauthz.cli.reload.lines import Hub
from extauthz.cli.reload.reloads import Reloads
from extauthz.cli.reload.running import keep_reloading
from extauthz.cli.supervisor import Supervisor
from extauthz.cli.worker import Sockets, work
from extauthz.config.faults import ConfigError
from extauthz.config.load import ServiceConfig, load_service
from extauthz.observe.logs import configure

Loaded = TypeVar("Loaded")

BAD_CONFIGURATION = 2
"""Exit status when the files have faults; nothing was started."""

CANNOT_START = 1
"""Exit status when an address is taken or not ours, or the audit log cannot be written."""

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=Path("extauthz.yaml"),
    show_default=True,
    help="The service's file; it names the policy file.",
)


@click.command()
@config_option
@click.option("--workers", type=click.IntRange(1, 256), help="Processes; overrides `workers` in the file.")
@click.option("--inherited", hidden=True, help="Descriptors of open listeners, from the supervisor.")
@click.option("--together", type=click.Path(path_type=Path), hidden=True, help="Folder of all its workers.")
def serve(config_path: Path, workers: int | None, inherited: str | None, together: Path | None) -> None:
    """Answer gateways until SIGTERM, then drain. A changed policy is put in force, at the latest on SIGHUP."""
    config = load(load_service, config_path)
    configure(config.settings.log.level, config.settings.log.format)
    try:
        if inherited is not None:
            gateway, ops = map(int, inherited.split(","))
            uvloop.run(work(config, Sockets(gateway=gateway, ops=ops, supervised=True), config_path, together))
        else:
            _serve(config, config_path, workers or config.settings.workers)
    except OSError as error:
        _fail(str(error), CANNOT_START)


@click.command()
@config_option
def check(config_path: Path) -> None:
    """Read both files, tell every fault, start nothing."""
    config = load(load_service, config_path)
    click.echo(f"{config_path}: good, {len(config.snapshot.routes.rules)} routes")


def _serve(config: ServiceConfig, config_path: Path, workers: int) -> None:
    listen, access = config.settings.listen, config.settings.socket
    with ExitStack() as opened:
        gateway = opened.enter_context(listening(listen.gateway, access))
        ops = opened.enter_context(listening(listen.ops, access))
        if listen.grpc is not None:
            with listening(listen.grpc, access):
                pass  # each worker opens it anew; that nobody can is better told here
        check_audit_file(config.settings.audit)  # likewise
        sockets = Sockets(gateway=gateway.fileno(), ops=ops.fileno())
        if workers == 1:
            uvloop.run(work(config, sockets, config_path))
        else:
            uvloop.run(_supervise(workers, config, config_path, sockets))


async def _supervise(workers: int, config: ServiceConfig, config_path: Path, sockets: Sockets) -> None:
    def reloading(folder: Path, hub: Hub) -> tuple[Reloads, Coroutine[None, None, None]]:
        reloads = Reloads(config_path, config.seen, folder, hub.deliver)
        return reloads, keep_reloading(reloads, config.settings.reload)

    await Supervisor(
        count=workers,
        config_path=config_path,
        sockets=sockets,
        drain_delay=config.settings.drain_delay,
        log_level=config.settings.log.level,
        reloading=reloading,
    ).run()


def load(read: Callable[[Path, Mapping[str, str]], Loaded], config_path: Path) -> Loaded:
    """What is read; whoever gave us bad files is told and sent away."""
    try:
        return read(config_path, os.environ)
    except ConfigError as error:
        _fail(str(error), BAD_CONFIGURATION)


def _fail(message: str, status: int) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(status)
