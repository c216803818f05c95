"""`extauthz policy fmt`."""

import sys
from pathlib import Path

import click

from extauthz.cli.policy_files import FILE, FOUND, fail, read
from extauthz.policy_tools.fmt import UnformattableError, format_policy


@click.command()
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option("--check", is_flag=True, help="Change nothing: exit status 1 if a file would change.")
def fmt(files: tuple[Path, ...], *, check: bool) -> None:
    """Lay out policy files in one way. Order, quotes and comments stay as they are."""
    changed = False
    for file in files:
        before = read(file)
        try:
            after = format_policy(before.decode()).encode()
        except (UnformattableError, UnicodeDecodeError) as error:
            fail(f"{file}: {error}")
        if after != before:
            changed = True
            click.echo(f"{file}: {'would change' if check else 'changed'}")
            if not check:
                file.write_bytes(after)
    sys.exit(FOUND if changed and check else 0)
