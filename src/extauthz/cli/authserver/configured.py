"""What commands share that may read `authserver.yaml`: the file, and who is told of revocations."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from extauthz.cli.authserver.options import existing_file, read_secret
from extauthz.config.authserver_load import AuthServerConfig, load_authserver
from extauthz.config.authserver_schema import check_webhook
from extauthz.config.faults import ConfigError
from extauthz.config.values import Misfit

_F = TypeVar("_F", bound="Callable[..., Any]")

BAD_CONFIGURATION = 2
"""Exit status when the file has faults; nothing was done."""


class Checked(click.ParamType[Any]):
    """A value as the file has it."""

    def __init__(self, name: str, parse: Callable[[str], Any]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> object:
        if not isinstance(value, str):
            return value
        try:
            return self._parse(value)
        except Misfit as error:
            self.fail(f"{value!r}: {error}", param, ctx)


config_option = click.option("--config", "config_path", type=click.Path(path_type=Path), help="authserver.yaml.")


def notify_options(command: _F) -> _F:
    """`--notify` and `--notify-token-file`, as `urls` and `notify_token_file`."""
    notify = click.option(
        "--notify",
        "urls",
        type=Checked("url", check_webhook),
        multiple=True,
        help="Tell this address which tokens were revoked: http://HOST:PORT/revoke of extauthz's ops listener.",
    )
    token = click.option("--notify-token-file", type=existing_file, help="The token of that ops listener.")
    return notify(token(command))


def notified_by(urls: Sequence[str], token_file: Path | None) -> tuple[tuple[str, str], ...]:
    """The addresses of the options, each with its secret."""
    if not urls:
        return ()
    if token_file is None:
        raise click.UsageError("--notify needs --notify-token-file")
    token = read_secret(token_file)
    return tuple((url, token) for url in urls)


def read_config(path: Path) -> AuthServerConfig:
    """What the file says; faults end the command."""
    try:
        return load_authserver(path, os.environ)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(BAD_CONFIGURATION)
