"""`extauthz policy check` and `extauthz policy routes`."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from extauthz.cli.policy_files import FOUND, UNUSABLE, config_option, open_policy, open_sound, policy_argument
from extauthz.cli.table import print_table
from extauthz.config.faults import ConfigError, Fault
from extauthz.policy_tools.listing import COLUMNS, listing
from extauthz.policy_tools.source import SoundSource, Source
from extauthz.policy_tools.warn import Warned, warnings


@click.command()
@policy_argument
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--strict", is_flag=True, help="Warnings count: exit status 1.")
def check(policy: Path | None, config: Path | None, *, as_json: bool, strict: bool) -> None:
    """Tell every fault and every doubtful thing in a policy file, with its line.

    The exit status is 0 for a file that can be used, 1 for one with warnings under --strict, 2 for one with faults.
    """
    source = open_policy(policy, config)
    faults = ConfigError(source.judged.faults).faults
    warned = warnings(source) if isinstance(source, SoundSource) else []
    click.echo(_as_json(source, faults, warned) if as_json else _as_text(source, faults, warned))
    sys.exit(UNUSABLE if faults else FOUND if strict and warned else 0)


@click.command()
@policy_argument
@config_option
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def routes(policy: Path | None, config: Path | None, *, as_json: bool) -> None:
    """Show the routes as a table, in the order of the file."""
    source = open_sound(policy, config)
    rows = listing(source)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        row["line"] = row["line"] if row["file"] == source.document.file else f"{row['file']}:{row['line']}"
    print_table([column.upper() for column in COLUMNS], [[str(row[column]) for column in COLUMNS] for row in rows])


def _as_text(source: Source, faults: Iterable[Fault], warned: Iterable[Warned]) -> str:
    lines = [fault.render() for fault in faults]
    lines += [f"{each.fault.render()}\n    warning: {each.kind}" for each in warned]
    return "\n".join([*lines, _summary(source, len([*faults]), len([*warned]))])


def _summary(source: Source, faults: int, warned: int) -> str:
    if faults:
        return f"{source.document.file}: {_counted(faults, 'fault')}; correct them all: the file is used whole or not at all"
    routes = _counted(len(source.judged.policy.entries), "route")
    return f"{source.document.file}: good, {routes}, {_counted(warned, 'warning')}"


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _as_json(source: Source, faults: Iterable[Fault], warned: Iterable[Warned]) -> str:
    document = {
        "file": source.document.file,
        "good": not [*faults],
        "routes": len(source.judged.policy.entries),
        "faults": [_fields(fault) for fault in faults],
        "warnings": [{"kind": each.kind, **_fields(each.fault)} for each in warned],
    }
    return json.dumps(document, indent=2)


def _fields(fault: Fault) -> dict[str, str | int]:
    return {
        "file": fault.file,
        "line": fault.line,
        "column": fault.column,
        "message": fault.message,
        "value": fault.value,
        "hint": fault.hint,
        "excerpt": fault.excerpt,
    }
