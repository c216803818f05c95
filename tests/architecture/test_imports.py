"""Who may import whom: the contracts of `.importlinter` hold, and the core imports nothing but the language."""

import subprocess
import sys
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
LANGUAGE = {"base64", "collections", "dataclasses", "enum", "functools", "itertools", "json", "re", "typing"}
"""Of the standard library: what has no clock, no randomness and no way out of the process."""

ON_DEMAND = {
    "asyncpg",
    "bcrypt",
    "cryptography",
    "grpc",
    "jwt",
    "limits",
    "opentelemetry",
    "re2",
    "redis",
    "rich",
    "sqlite3",
}
"""Libraries that only some configurations need: each takes memory in every worker, and time at every start."""


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


def test_a_worker_has_read_in_no_library_that_it_may_not_need() -> None:
    """An `import` at the top of a module is enough to break this: it belongs where the library is first used."""
    code = "import sys, extauthz.cli.serve; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=30)
    assert not ON_DEMAND & set(done.stdout.split())
