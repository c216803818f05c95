"""`extauthz policy diff` as it is typed."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from extauthz.cli.policy import policy

OLD = "version: 1\nroutes:\n  - {name: a, path: /a, methods: [GET], scopes: [x], audience: b}\n"
NEW = OLD.replace("[x]", "[y]")


def run(folder: Path, *arguments: str) -> Result:
    (folder / "old.yaml").write_text(OLD)
    (folder / "new.yaml").write_text(NEW)
    return CliRunner().invoke(policy, ("diff", *arguments))


def test_each_change_has_its_token_both_endings_and_both_places(tmp_path: Path) -> None:
    """What opens comes first."""
    result = run(tmp_path, f"{tmp_path}/old.yaml", f"{tmp_path}/new.yaml")
    assert result.exit_code == 1
    assert result.output.splitlines()[:4] == [
        "OPENED    GET /a",
        "    with scope y for b: deny 403 insufficient_scope",
        "                        allow",
        f"    by a ({tmp_path}/old.yaml:3), then a ({tmp_path}/new.yaml:3)",
    ]
    assert result.output.splitlines()[-1] == "1 opened, 1 closed, 1 changed"


def test_without_a_difference_the_status_is_0(tmp_path: Path) -> None:
    """For CI."""
    result = run(tmp_path, f"{tmp_path}/old.yaml", f"{tmp_path}/old.yaml")
    assert (result.exit_code, result.output) == (0, "no request ends otherwise\n")


def test_a_record_is_replayed(tmp_path: Path) -> None:
    """And what it does not tell is said."""
    line = {"method": "GET", "host": "", "path": "/a", "rule": "a", "reason": "allowed"}
    (tmp_path / "audit.jsonl").write_text(json.dumps(line) + "\n")
    files = f"{tmp_path}/old.yaml", f"{tmp_path}/new.yaml"
    result = run(tmp_path, *files, "--replay", f"{tmp_path}/audit.jsonl", "--json")
    assert result.exit_code == 1
    found = json.loads(result.output)
    assert (found["changes"][0]["kind"], found["alike"]) == ("closed", 0)
    missing = run(tmp_path, *files, "--replay", f"{tmp_path}/none")
    assert (missing.exit_code, "No such file" in missing.output) == (2, True)
