"""Fuzz with coverage for a while: `python tests/fuzz/run.py --seconds 300 [target …]`, all targets by default.

Needs atheris (`pip install 'extauthz[fuzz]'`). The time is shared between the targets. What is found is saved in
tests/fuzz/seeds, where the tests replay it from then on, and the status is 1.
"""

import argparse
import hashlib
import importlib
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]
SEEDS = TESTS / "fuzz" / "seeds"

SLOWEST_SECONDS = 10
"""One input that takes longer is a finding."""

STARTING_SECONDS = 120
"""A process that needs so much more than its time, to import and to run all seeds, is killed."""

_CHILD = "--child"
_TAIL_LINES = 25


def main(arguments: Sequence[str]) -> int:
    """Run the targets one after the other; 0 when nothing was found, 1 when something was, 2 when atheris is missing."""
    targets = _import_targets()
    parser = argparse.ArgumentParser(description="Fuzz with coverage for a while.")
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--save", type=Path, default=SEEDS, help="folder for what is found")
    parser.add_argument("target", nargs="*", default=[], help=f"of {', '.join(targets)}; default: all")
    options = parser.parse_args(arguments)
    chosen = options.target or list(targets)
    if unknown := set(chosen) - set(targets):
        parser.error(f"no such target: {', '.join(sorted(unknown))}")
    if importlib.util.find_spec("atheris") is None:
        _say("atheris is not installed: pip install 'extauthz[fuzz]'")
        return 2
    seconds = max(1, round(options.seconds / len(chosen)))
    results = [_fuzz(name, targets[name], seconds, options.save) for name in chosen]
    return 0 if all(results) else 1


def _import_targets() -> dict[str, Any]:
    sys.path[:] = [str(TESTS), *(entry for entry in sys.path if Path(entry) != TESTS / "fuzz")]
    return dict(importlib.import_module("fuzz.targets").TARGETS)


def _fuzz(name: str, target: Any, seconds: int, save: Path) -> bool:  # noqa: ANN401 - modules are imported late
    """Fuzz one target in a process of its own: libFuzzer does not come back. Whether nothing was found."""
    with tempfile.TemporaryDirectory(prefix=f"fuzz-{name}-") as folder:
        corpus, artifacts, log = Path(folder) / "corpus", Path(folder) / "artifacts", Path(folder) / "log"
        artifacts.mkdir()
        corpus.mkdir()
        for seed in target.seeds:
            (corpus / _digest(seed)).write_bytes(seed)
        command = [
            *(sys.executable, str(Path(__file__).resolve()), _CHILD, name, str(corpus)),
            *(f"-artifact_prefix={artifacts}/", f"-max_total_time={seconds}", f"-timeout={SLOWEST_SECONDS}"),
            *("-rss_limit_mb=2048", "-use_value_profile=1", "-print_final_stats=1"),
        ]
        started = time.monotonic()
        with log.open("wb") as output:
            patience = seconds + STARTING_SECONDS
            ended = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, timeout=patience, check=False)
        text = log.read_text(errors="replace")
        took = time.monotonic() - started
        _say(f"{name}: {_runs(text)} inputs in {took:.0f} s, {len(target.seeds)} seeds, {_coverage(text)} branches")
        found = sorted(artifacts.iterdir())
        if ended.returncode == 0 and not found:
            return True
        _say("\n".join(text.splitlines()[-_TAIL_LINES:]))
        if not found:
            raise SystemExit(f"{name} broke off without a finding: see above")
        for artifact in found:
            _report(name, target, artifact, save)
        return False


def _report(name: str, target: Any, artifact: Path, save: Path) -> None:  # noqa: ANN401 - modules are imported late
    data = artifact.read_bytes()
    kept = save / f"{name}-{_digest(data)}.bin"
    save.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(artifact, kept)
    _say(
        f"FOUND ({artifact.name.partition('-')[0]}): {data[:200]!r}\n"
        f"saved as {kept}; replay: python -m pytest tests/fuzz/test_targets.py -k {name}\n"
        f"now make it a named case in {' or '.join(target.homes)}: a row that says in one phrase what the input is"
    )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def _runs(log: str) -> str:
    return _last(r"(?:^#|number_of_executed_units: )(\d+)", log)


def _coverage(log: str) -> str:
    return _last(r"cov: (\d+)", log)


def _last(pattern: str, log: str) -> str:
    found: list[str] = re.findall(pattern, log, re.MULTILINE)
    return found[-1] if found else "no"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _child(name: str, flags: Sequence[str]) -> None:
    """The process that fuzzes: imports are instrumented, so it imports late."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["extauthz"]):
        target = _import_targets()[name]
    atheris.Setup([sys.argv[0], *flags], target.fuzz_one)
    atheris.Fuzz()


if __name__ == "__main__":
    if sys.argv[1:2] == [_CHILD]:
        _child(sys.argv[2], sys.argv[3:])
    else:
        sys.exit(main(sys.argv[1:]))
