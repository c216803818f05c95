"""The command line: one module for each command."""

import click

from extauthz.cli.authserver import authserver, client, token
from extauthz.cli.demo import demo
from extauthz.cli.doctor import doctor
from extauthz.cli.revoke import revoke
from extauthz.cli.serve import check, serve
from extauthz.version import VERSION


@click.group()
@click.version_option(VERSION, prog_name="extauthz")
def main() -> None:
    """External authorization for Envoy and NGINX, by OAuth2 token introspection."""


for command in (serve, check, revoke, doctor, authserver, client, token, demo):
    main.add_command(command)
