"""The process that compiles, as it is started in earnest."""

import sys
from pathlib import Path

import pytest
import yaml

import cases
from extauthz.cli.reload import compiling
from extauthz.cli.reload.compiling import MAX_FAULTS, compile_aside
from extauthz.cli.reload.outcome import read_outcome, read_policy
from extauthz.keyfiles import stamp

SETTINGS = {
    "listen": {"gateway": "127.0.0.1:9191", "ops": "127.0.0.1:9192"},
    "policy": "policy.yaml",
    "authorization_servers": {
        "main": {"introspection_endpoint": "http://127.0.0.1:1/", "client": {"id": "gateway", "secret": {"env": "S"}}}
    },
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("S", "canary")
    (tmp_path / "policy.yaml").write_text(cases.POLICY)
    path = tmp_path / "extauthz.yaml"
    path.write_text(yaml.safe_dump(SETTINGS))
    return path


async def test_good_files_become_a_policy(config: Path) -> None:
    """With settings, digest and what was read, and without any secret."""
    out = config.with_name("out")
    await compile_aside(config, out)
    outcome = read_outcome(out)
    policy = config.with_name("policy.yaml")
    assert outcome.faults == ()
    assert outcome.settings is not None
    assert outcome.seen == {config: stamp(config), policy: stamp(policy)}
    assert len(read_policy(out).routes.rules) == len(yaml.safe_load(cases.POLICY)["routes"])
    assert b"canary" not in out.read_bytes()


async def test_bad_files_become_faults(config: Path) -> None:
    """With their places; that they were read is known all the same, so that their correction is noticed."""
    policy = config.with_name("policy.yaml")
    policy.write_text("version: 7\nroutes: []\n")
    out = config.with_name("out")
    await compile_aside(config, out)
    outcome = read_outcome(out)
    assert outcome.settings is None
    assert {(fault.file, fault.line) for fault in outcome.faults} == {(str(policy), 1), (str(policy), 2)}
    assert set(outcome.seen) == {config, policy}


async def test_a_file_of_another_kind_is_a_bounded_number_of_faults(config: Path) -> None:
    """All of them go to every worker; the last one tells how many are left out."""
    routes = "".join(f"- {{name: r{number}, path: nowhere, scopes: []}}\n" for number in range(MAX_FAULTS + 7))
    config.with_name("policy.yaml").write_text(f"version: 1\nroutes:\n{routes}")
    out = config.with_name("out")
    await compile_aside(config, out)
    *_, last = faults = read_outcome(out).faults
    assert len(faults) == MAX_FAULTS + 1
    assert "7 more" in last.message


async def test_a_long_path_is_a_deep_table(config: Path) -> None:
    """As deep as a path may be."""
    path = "/" + "/".join("a" * 400)
    config.with_name("policy.yaml").write_text(f"version: 1\nroutes: [{{name: a, path: {path}, scopes: []}}]\n")
    out = config.with_name("out")
    await compile_aside(config, out)
    assert read_policy(out).routes.match("GET", "", path) is not None


@pytest.mark.parametrize(
    ("program", "seconds", "said"),
    [("raise SystemExit(3)", 50.0, "status 3"), ("import time; time.sleep(60)", 0.5, "took longer than")],
    ids=["fails", "hangs"],
)
async def test_a_process_that_fails_is_a_fault(
    config: Path, monkeypatch: pytest.MonkeyPatch, program: str, seconds: float, said: str
) -> None:
    """Nothing else than a refusal comes of it."""
    monkeypatch.setattr(compiling, "_PROGRAM", program)
    monkeypatch.setattr(compiling, "COMPILE_SECONDS", seconds)
    out = config.with_name("out")
    await compile_aside(config, out)
    (fault,) = read_outcome(out).faults
    assert said in fault.message


async def test_a_process_that_cannot_be_started_is_a_fault(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when there is no memory left for it."""
    monkeypatch.setattr(sys, "executable", str(config.with_name("missing")))
    out = config.with_name("out")
    await compile_aside(config, out)
    (fault,) = read_outcome(out).faults
    assert "cannot be started" in fault.message
