"""The command line: one module for each command, read in when the command is wanted.

A worker need not wait for what only `doctor` or `demo` needs.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Final

import click

from extauthz.version import VERSION

_MODULES: Final[Mapping[str, str]] = {
    "serve": "serve",
    "check": "serve",
    "policy": "policy",
    "revoke": "revoke",
    "doctor": "doctor",
    "authserver": "authserver",
    "client": "authserver",
    "token": "authserver",
    "demo": "demo",
}
"""Where each command is, in the order of the help."""


class _Commands(click.Group):
    """All commands by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - of the interface
        """Their names."""
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - of the interface
        """The command, or None when there is none of this name."""
        module = _MODULES.get(cmd_name)
        if module is None:
            return None
        command: click.Command = getattr(import_module(f"extauthz.cli.{module}"), cmd_name)
        return command


@click.group(cls=_Commands)
@click.version_option(VERSION, prog_name="extauthz")
def main() -> None:
    """External authorization for Envoy and NGINX, by OAuth2 token introspection."""
