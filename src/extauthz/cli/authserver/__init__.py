"""The commands of the embedded authorization server: `authserver`, `client` and `token`."""

import click

from extauthz.cli.authserver.clients import client
from extauthz.cli.authserver.imports import import_clients
from extauthz.cli.authserver.maintenance import backup, migrate
from extauthz.cli.authserver.serve import serve
from extauthz.cli.authserver.tokens import token


@click.group()
def authserver() -> None:
    """Run the embedded authorization server and look after its store."""


for command in (serve, migrate, backup):
    authserver.add_command(command)
client.add_command(import_clients)

__all__ = ["authserver", "client", "token"]
