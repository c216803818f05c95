"""A compiled policy goes from one process to another and decides there as it did here."""

from pathlib import Path

import pytest

import cases
from extauthz.cli.reload.outcome import Outcome, read_outcome, read_policy, write
from extauthz.config.faults import Fault
from extauthz.config.judge import judge_policy
from extauthz.config.yaml_source import read_yaml
from extauthz.core.snapshot import Snapshot

POLICIES = sorted(path.name for path in (Path(cases.__file__).parent / "vectors" / "policies").glob("*.yaml"))


def compiled(text: str) -> Snapshot:
    snapshot = judge_policy(read_yaml(text.encode(), "policy.yaml"), {}, ()).snapshot
    assert snapshot is not None
    return snapshot


@pytest.mark.parametrize("name", POLICIES)
def test_every_construct_survives(tmp_path: Path, name: str) -> None:
    """Every policy that the vectors are played under: each rule is equal, and is found where it was."""
    before = compiled((Path(cases.__file__).parent / "vectors" / "policies" / name).read_text())
    write(tmp_path / "o", Outcome(seen={}), before)
    after = read_policy(tmp_path / "o")
    assert after.routes.rules == before.routes.rules
    for rule in before.routes.rules:
        path = rule.path.replace("{", "").replace("}", "").replace("**", "x")
        host = rule.host.replace("*", "x")
        for method in rule.methods or ("GET",):
            assert after.routes.match(method, host, path) == before.routes.match(method, host, path)
        assert after.routes.named(rule.name, "GET") == before.routes.named(rule.name, "GET")


def test_faults_arrive_as_they_were(tmp_path: Path) -> None:
    """And no policy with them."""
    outcome = Outcome(
        seen={tmp_path / "a": (1, 2, 3, 4), tmp_path / "b": None},
        faults=(Fault(file="a", line=1, column=2, message="no", excerpt="x: y"),),
    )
    write(tmp_path / "o", outcome)
    assert read_outcome(tmp_path / "o") == outcome
    with pytest.raises(TypeError):
        read_policy(tmp_path / "o")


def test_nothing_is_written_over_something(tmp_path: Path) -> None:
    """Somebody may be reading it."""
    (tmp_path / "o").write_bytes(b"")
    with pytest.raises(FileExistsError):
        write(tmp_path / "o", Outcome(seen={}))
