"""`extauthz policy check` and `routes` as they are typed: what they print, and their exit status."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from extauthz.cli.policy import policy

ROOT = Path(__file__).parents[3]
CONFIG = str(ROOT / "examples/extauthz.yaml")

THREE_FAULTS = """\
version: 1
defaults: {audience: https://api.example.com}
routes:
  - name: read orders
    path: /orders/*
    method: [GET, HEAD]
    scopes: [orders:read]
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(policy, arguments)


def test_the_shipped_policy_is_good_without_warnings() -> None:
    """It is what people copy."""
    result = run("check", "--config", CONFIG, "--strict")
    assert (result.exit_code, result.output.splitlines()[-1].partition(": ")[2]) == (0, "good, 7 routes, 0 warnings")


def test_three_faults_can_be_mended_from_their_messages(tmp_path: Path) -> None:
    """Each message says what to write: doing so, and no more, makes the file good."""
    file = tmp_path / "policy.yaml"
    file.write_text(THREE_FAULTS)
    result = run("check", str(file))
    assert result.exit_code == 2
    places = re.findall(r"policy\.yaml:(\d+):(\d+): ", result.output)
    assert places == [("4", "11"), ("5", "11"), ("6", "5")]
    assert "a name is lower-case letters, digits, - _ and ." in result.output
    assert "** as the last one for all below" in result.output
    assert "did you mean 'methods'?" in result.output
    assert "3 faults; correct them all" in result.output
    mended = THREE_FAULTS.replace("read orders", "read-orders").replace("/*", "/**").replace("method:", "methods:")
    file.write_text(mended)
    assert run("check", "--strict", str(file)).exit_code == 0


def test_json_has_the_same_for_machines(tmp_path: Path) -> None:
    """Faults and warnings apart, each with file, line and column."""
    file = tmp_path / "policy.yaml"
    file.write_text(THREE_FAULTS)
    found = json.loads(run("check", str(file), "--json").output)
    assert (found["good"], len(found["faults"]), found["warnings"]) == (False, 3, [])
    assert (found["faults"][2]["line"], found["faults"][2]["hint"]) == (6, "methods")
    file.write_text("version: 1\nroutes:\n  - {name: a, path: /a, methods: [GET], scopes: [], audience: b}\n")
    found = json.loads(run("check", str(file), "--json").output)
    assert (found["good"], [each["kind"] for each in found["warnings"]]) == (True, ["method-gap"])


def test_warnings_count_only_under_strict(tmp_path: Path) -> None:
    """A pipeline chooses."""
    file = tmp_path / "policy.yaml"
    file.write_text("version: 1\nroutes:\n  - {name: a, path: /a, scopes: []}\n")
    assert run("check", str(file)).exit_code == 0
    assert run("check", str(file), "--strict").exit_code == 1


def test_routes_are_a_table() -> None:
    """One line each, under a head."""
    result = run("routes", "--config", CONFIG)
    lines = result.output.splitlines()
    assert lines[0].split() == ["LINE", "NAME", "METHODS", "HOST", "PATH", "NEEDS", "AUDIENCE"]
    assert len(lines) == 8
    assert len(json.loads(run("routes", "--config", CONFIG, "--json").output)) == 7


def test_no_file_is_one_sentence_that_says_what_to_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a traceback."""
    monkeypatch.chdir(tmp_path)
    result = run("check")
    assert result.exit_code == 2
    assert "name a policy file, or extauthz.yaml with --config" in result.output


def test_included_files_are_checked_and_listed_by_their_names(tmp_path: Path) -> None:
    """Faults, warnings and the table say which file a route is in."""
    main, part = tmp_path / "policy.yaml", tmp_path / "part.yaml"
    main.write_text(
        "version: 1\ninclude: [part.yaml]\ndefaults: {audience: a}\nroutes: [{name: a, path: /a, scopes: []}]\n"
    )
    part.write_text("version: 1\nroutes:\n  - {name: b, path: /b, methods: [GET], scopes: []}\n")
    result = run("check", str(main))
    assert f"{part}:3:34: b lists GET and not HEAD" in result.output
    assert "good, 2 routes, 1 warning" in result.output
    lines = run("routes", str(main)).output.splitlines()
    assert [line.split()[:2] for line in lines] == [["LINE", "NAME"], ["4", "a"], [f"{part}:3", "b"]]
    assert [row["line"] for row in json.loads(run("routes", str(main), "--json").output)] == [4, 3]
    result = run("explain", "GET", "/b", "--policy", str(main), "--brief")
    assert f"b ({part}:3)" in result.output
    assert run("diff", str(main), str(main)).exit_code == 0
    assert run("fmt", "--check", str(main), str(part)).exit_code in (0, 1)
    part.write_text("version: 1\nroutes:\n  - {name: b, path: b, scopes: []}\n")
    result = run("check", str(main))
    assert (result.exit_code, f"{part}:3:21: a path starts with /" in result.output) == (2, True)
