"""Whether the few tests that failed are broken, or lost a race once: their files have to pass three times more.

Whole files, because a test may fail by what those before it have left behind.

A thousand of our tests start real processes, and a machine that they share with others stands still now and then. A
fault of ours fails again here. What does not is still a fault, of the test or of the product: it is named at the end.

Run by `make test` when pytest has failed.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

LAST_FAILED = Path(".pytest_cache/v/cache/lastfailed")
MOST = 3
"""More than so many failures are no bad luck."""
TIMES = 3


def unsteady(failed: Sequence[str], passes: Callable[[Sequence[str]], bool]) -> bool:
    """Whether these tests only lost a race. `passes` runs their files, with everything started anew."""
    return 0 < len(failed) <= MOST and all(passes(failed) for _ in range(TIMES))


def _passes(tests: Sequence[str]) -> bool:
    files = dict.fromkeys(test.partition("::")[0] for test in tests)
    return subprocess.run([sys.executable, "-m", "pytest", "-q", *files], check=False).returncode == 0


def main() -> int:
    """The exit status of `make test`."""
    try:
        failed = list(json.loads(LAST_FAILED.read_text()))
    except (OSError, ValueError):  # pytest did not come so far
        return 1
    if not unsteady(failed, _passes):
        return 1
    names = "\n  ".join(failed)
    sys.stdout.write(f"UNSTEADY: failed once, then passed {TIMES} times. Find the race:\n  {names}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
