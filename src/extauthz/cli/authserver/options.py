"""What the commands have in common: how values are written, and the store that they work on."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from extauthz.config.store_address import StoreAddress, parse_store
from extauthz.config.values import Misfit
from extauthz.core.scopes import parse_scope

_F = TypeVar("_F", bound="Callable[..., Any]")

_DURATION: Final = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)")
_UNIT_MILLISECONDS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class WholeSeconds(click.ParamType[int]):
    """A duration with its unit, such as `90s` or `1h`, as a number of whole seconds."""

    name = "duration"

    def __init__(self, least: int = 1) -> None:
        self._least = least

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = _DURATION.fullmatch(str(value))
        if match is None:
            self.fail(f"{value!r} is not a number with a unit: write 500ms, 30s, 5m, 1h or 7d", param, ctx)
        seconds, rest = divmod(int(match[1]) * _UNIT_MILLISECONDS[match[2]], 1000)
        if rest or seconds < self._least:
            self.fail(f"{value!r} is not a whole number of seconds, at least {self._least}s", param, ctx)
        return seconds


class StoreUrl(click.ParamType[StoreAddress]):
    """`sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://user@host/name`."""

    name = "url"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> StoreAddress:
        if isinstance(value, StoreAddress):
            return value
        try:
            return parse_store(str(value))
        except Misfit as error:
            self.fail(str(error), param, ctx)


class ScopeText(click.ParamType[tuple[str, ...]]):
    """Scopes with one space between them (RFC 6749 §3.3)."""

    name = "scope"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return parse_scope(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class Claim(click.ParamType[tuple[str, object]]):
    """`NAME=JSON`, as the name and the value."""

    name = "claim"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, object]:
        if isinstance(value, tuple):
            return value
        name, _, text = str(value).partition("=")
        try:
            return name, json.loads(text)
        except ValueError:
            self.fail(f"{value!r} is not NAME=JSON: write acr='\"urn:mfa\"' or auth_time=1700000000", param, ctx)


existing_file = click.Path(exists=True, dir_okay=False, path_type=Path)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")


def store_options(*, required: bool = True) -> Callable[[_F], _F]:
    """`--store` and `--store-password-file`, as `address` and `password_file`."""
    store = click.option(
        "--store",
        "address",
        type=StoreUrl(),
        required=required,
        envvar="EXTAUTHZ_STORE",
        show_envvar=True,
        help="Where clients and tokens are kept: sqlite:///path.db or postgresql://user@host/name.",
    )
    password = click.option(
        "--store-password-file",
        "password_file",
        type=existing_file,
        help="The password of the PostgreSQL user; else PGPASSWORD or ~/.pgpass.",
    )
    return lambda command: store(password(command))


def read_secret(path: Path) -> str:
    """The text of a file without the newline at its end."""
    try:
        return path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path}: the secret is not readable as UTF-8 text") from error
