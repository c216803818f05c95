"""`extauthz replay` asks a running extauthz again what it was asked, and says what ended otherwise."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cases import ANSWERS
from extauthz.cli.processes import free_ports
from extauthz.cli.replay import replay
from support.running import Running, running
from support.stub_server import StubServer


def line(path: str, reason: str, **said: str) -> str:
    usual = {"method": "GET", "host": "api.example.com", "path": path, "rule": "read-order", "reason": reason}
    return json.dumps(usual | said) + "\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("replay")
    with StubServer(ANSWERS) as stub, running(folder, introspection=stub.url) as service:
        yield service


def run(folder: Path, service: Running, *lines: str) -> Result:
    (folder / "audit.jsonl").write_text("".join(lines))
    (folder / "tokens.json").write_text(json.dumps({"u1": "reader"}))
    target = f"http://127.0.0.1:{service.gateway}"
    files = (str(folder / "audit.jsonl"), "--tokens", str(folder / "tokens.json"))
    return CliRunner().invoke(replay, (*files, "--target", target, "--rate", "1000", "--json"))


def test_what_ends_as_it_did_is_no_change(tmp_path: Path, service: Running) -> None:
    """With a token, without one, without a route; what had a token that nobody knows is left out."""
    same = line("/orders/1", "allowed", sub="u1"), line("/orders/1", "no_credentials"), line("/x", "no_route")
    result = run(tmp_path, service, *same, line("/orders/1", "allowed", sub="u9"))
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert (told["sent"], told["left_out"], told["unanswered"], told["changed"]) == (3, 1, 0, [])
    assert told["milliseconds"].keys() == {"p50", "p90", "p99", "max"}


def test_what_ends_otherwise_is_told_with_its_number(tmp_path: Path, service: Running) -> None:
    """Then and now."""
    result = run(tmp_path, service, *[line("/orders/export", "allowed", sub="u1")] * 3)
    assert result.exit_code == 1
    assert json.loads(result.output)["changed"] == [
        {"method": "GET", "path": "/orders/export", "then": "allowed", "now": "insufficient_scope", "count": 3}
    ]


def test_no_answer_is_no_outcome(tmp_path: Path) -> None:
    """It is counted apart; where nothing is answered, the target is the mistake."""
    (port,) = free_ports(1)
    file = tmp_path / "audit.jsonl"
    file.write_text(line("/x", "no_route"))
    result = CliRunner().invoke(replay, (str(file), "--target", f"http://127.0.0.1:{port}"))
    assert result.exit_code == 1
    assert result.stdout.startswith("1 sent, 1 unanswered, 0 left out")
    assert f"nobody answers at http://127.0.0.1:{port}: write the gateway address" in result.stderr
