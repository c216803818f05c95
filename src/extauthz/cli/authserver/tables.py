"""Lists for people as tables, for scripts as JSON."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click

from extauthz.cli.table import harmless, print_table


def show(rows: Sequence[Mapping[str, object]], *, as_json: bool, nothing: str) -> None:
    """Print the rows; each has the same keys, which are the headings."""
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    elif not rows:
        click.echo(nothing)
    else:
        print_table([*rows[0]], [[_cell(value) for value in row.values()] for row in rows])


def told_time(seconds: int | None) -> str | None:
    """Seconds since the epoch as RFC 3339."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tell_person(what: str) -> None:
    """Say on standard error that something is under way, to a person alone."""
    if sys.stderr.isatty():
        click.echo(f"{what} ...", err=True)


def _cell(value: object) -> str:
    if value is None:
        return ""
    text = " ".join(map(str, value)) if isinstance(value, list | tuple) else _word(value)
    return harmless(text)


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    return str(value)
