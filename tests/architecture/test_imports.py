"""Who may import whom: the contracts of `.importlinter` hold, and the core imports nothing but the language."""

import subprocess
import sys
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
LANGUAGE = {"base64", "collections", "dataclasses", "enum", "functools", "itertools", "json", "re", "typing"}
"""Of the standard library: what has no clock, no randomness and no way out of the process."""


def test_the_import_contracts_hold() -> None:
    """The output of `lint-imports` names the import that breaks one."""
    program = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, check=False, capture_output=True, text=True, timeout=50)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_core_imports_nothing_but_the_language() -> None:
    """A new import here is a decision, not an accident."""
    graph = grimp.build_graph("extauthz", include_external_packages=True, cache_dir=None)
    core = {"extauthz.core", *graph.find_descendants("extauthz.core")}
    imported = {module for name in core for module in graph.find_modules_directly_imported_by(name)}
    assert imported - core <= LANGUAGE
