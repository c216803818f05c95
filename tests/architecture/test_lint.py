"""Style and types of the whole repository, by the same commands that a person runs."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 240


def run(program: str, *arguments: str) -> None:
    """Run a program of the virtual environment; its output is the message when it fails."""
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_finds_nothing() -> None:
    """Every exception from a rule stands in pyproject.toml or at its line, with its reason."""
    run("ruff", "check", ".")


def test_every_file_is_formatted() -> None:
    """No discussion about blanks."""
    run("ruff", "format", "--check", ".")


@pytest.mark.timeout(SECONDS + 10)
def test_types_fit() -> None:
    """Strictly, tests included; it finds a forgotten `await` and a verdict taken for a bool."""
    run("mypy")
