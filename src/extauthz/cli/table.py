"""A table for people: columns as wide as their widest cell, a heading in bold where a terminal shows it."""

from collections.abc import Sequence

import click


def print_table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print it to standard output. No line is folded: a terminal does that, and a pipe need not."""
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    click.secho(_line(heading, widths), bold=True)
    for row in rows:
        click.echo(_line(row, widths))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


def harmless(text: str) -> str:
    """The text without what steers a terminal: strangers choose some of the names and values that we print."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
