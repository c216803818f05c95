"""``extauthz authserver serve``: the server itself."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

import click
import h2corn

from extauthz.authserver.asgi import create_app
from extauthz.authserver.service import Service
from extauthz.cli.authserver.options import read_secret, store_options
from extauthz.cli.authserver.stores import run, store_at

if TYPE_CHECKING:
    from pathlib import Path

    from extauthz.config.store_address import StoreAddress


@click.command()
@click.option("--listen", default="127.0.0.1:9190", show_default=True, help="HOST:PORT to listen on.")
@click.option("--issuer", default="http://127.0.0.1:9190", show_default=True, help="The URL that clients know it by.")
@store_options()
def serve(*, listen: str, issuer: str, address: StoreAddress, password_file: Path | None) -> None:
    """Serve token, introspection, revocation and metadata over HTTP until SIGTERM or SIGINT."""
    password = None if password_file is None else read_secret(password_file)
    run(_serve(listen, issuer, address, password))


async def _serve(listen: str, issuer: str, address: StoreAddress, password: str | None) -> None:
    async with store_at(address, password) as store:
        app = create_app(Service(store, issuer, time.time))
        config = h2corn.Config(bind=(listen,), access_log=False, date_header=False, lifespan="on")
        server = h2corn.Server(app, config)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, server.shutdown)
        await server.serve()
