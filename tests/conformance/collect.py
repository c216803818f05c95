"""Which test claims to show which statement, as pytest collects them.

`tests/conftest.py` takes over the hook, so every collected item is heard, also one that a filter leaves out later.
"""

import io
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import redirect_stdout

import pytest

Claims = Mapping[str, Mapping[str, int]]
"""By the identifier of a statement: the tests that claim it, each with the number of its parameters that do."""

CLAIMS: dict[str, Counter[str]] = defaultdict(Counter)
"""What was collected in this process."""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Note what the item claims."""
    test = item.nodeid.partition("[")[0].removeprefix("tests/")
    for identifier in {name for mark in item.iter_markers("shows") for name in mark.args}:
        CLAIMS[identifier][test] += 1


def collect_all() -> Claims:
    """The claims of the whole suite, which is collected and not run.

    Raises:
        RuntimeError: when a test file cannot be collected.
    """
    said = io.StringIO()
    with redirect_stdout(said):
        status = pytest.main(["--collect-only", "-qq"])
    if status != pytest.ExitCode.OK:
        raise RuntimeError(f"the tests cannot be collected: {said.getvalue()[-2000:]}")
    return CLAIMS
