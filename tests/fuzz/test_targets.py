"""The quick part of fuzzing, in every test run: each target on its seeds and on what chance makes of them."""

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from extauthz.core.decision import Allow, Reason
from extauthz.core.introspection import Active
from extauthz.wire.envoy.encode import encode
from fuzz import targets
from fuzz.doors import Doors
from fuzz.targets import TARGETS
from fuzz.verdicts import Verdict

RUN = Path(__file__).with_name("run.py")

each_target = pytest.mark.parametrize("name", TARGETS)


@each_target
def test_a_target_has_nothing_against_its_seeds(name: str) -> None:
    """The tables of cases, and all that was ever found."""
    for seed in TARGETS[name].seeds:
        TARGETS[name].fuzz_one(seed)


@each_target
@given(data=st.data())
def test_a_target_has_nothing_against_any_bytes(name: str, data: st.DataObject) -> None:
    """Bytes out of nowhere, and seeds with a piece cut out and another one put in."""
    junk = st.binary(max_size=60)
    pieces = junk | st.sampled_from(
        [b"%2e", b"%2f", b"/../", b"\n", b":", b"\\", b'"', b",", b"\xff", b"true", b"9" * 400]
    )
    seeds = st.sampled_from(TARGETS[name].seeds)

    def spliced(seed: bytes, start: int, length: int, piece: bytes) -> bytes:
        start %= len(seed) + 1
        return seed[:start] + piece + seed[start + length :]

    mutants = st.builds(spliced, seeds, st.integers(0, 10_000), st.sampled_from([0, 0, 1, 5, 10_000]), pieces)
    TARGETS[name].fuzz_one(data.draw(mutants | junk))


ALLOWED = Allow(reason=Reason.ALLOWED, rule="r", identity=(), absent=())
PLANTED: dict[str, tuple[object, str, Callable[..., object]]] = {
    "grpc_check": (Doors, "check", lambda *_: encode(ALLOWED) + targets.reason_metadata("allowed")),
    "path_judge": (targets, "canonical_path", lambda target: target.partition("?")[0]),
    "introspection_answer": (targets, "read_answer", lambda *_, **__: Active(scopes=frozenset())),
    "challenge_writer": (targets, "challenge", lambda _, realm, __: f'Bearer realm="{realm}"'),
    "nginx_headers": (Doors, "nginx", lambda *_: Verdict(status=200, reason="public")),
}
"""For each target a fault that it must not overlook: everything passes, or everything stays as it is."""


@each_target
def test_a_target_objects_to_a_planted_fault(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it would find nothing in all eternity."""
    monkeypatch.setattr(*PLANTED[name])
    with pytest.raises(AssertionError):
        test_a_target_has_nothing_against_its_seeds(name)


@each_target
def test_a_finding_has_a_home(name: str) -> None:
    """The files that the runner names for the case are there."""
    root = RUN.parents[2]
    assert all((root / path).is_file() for path in TARGETS[name].homes)


def test_the_runner_runs() -> None:
    """For one second; or it says that it needs atheris, which is in the extra `fuzz`."""
    command = [sys.executable, str(RUN), "--seconds", "1", "challenge_writer"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False)
    if find_spec("atheris") is None:
        assert ended.returncode == 2
        assert "atheris" in ended.stdout + ended.stderr
    else:
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.startswith("challenge_writer: ")
