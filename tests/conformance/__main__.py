"""`python -m conformance` writes the page; with `--check` it only says what is wrong, and ends with 1 if anything is."""

import sys
from pathlib import Path

from conformance.collect import Claims, collect_all
from conformance.register import faults, load, render

PAGE = Path(__file__).parents[2] / "docs/conformance.md"


def problems(claims: Claims) -> list[str]:
    """What is wrong with the register and with its page."""
    register = load()
    found = faults(register, claims)
    current = PAGE.exists() and PAGE.read_text() == render(register, claims)
    return found if current else [*found, "docs/conformance.md is out of date: make conformance"]


def main(arguments: list[str]) -> int:
    """Write or check; the exit status."""
    claims = collect_all()
    if arguments != ["--check"]:
        PAGE.write_text(render(load(), claims))
    found = problems(claims)
    print(*found, sep="\n", end="\n" if found else "")  # noqa: T201 - a command line program prints
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
