"""`extauthz doctor` as it is typed: what it prints, and its exit status."""

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from extauthz.cli.doctor import doctor

ROOT = Path(__file__).parents[3]
ENVOY, NGINX = str(ROOT / "gateway/envoy.yaml"), str(ROOT / "gateway/nginx.conf")
CONFIG = str(ROOT / "examples/extauthz.yaml")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(doctor, arguments)


def test_the_shipped_files_have_no_error() -> None:
    result = run("--config", CONFIG, "--envoy", ENVOY, "--nginx", NGINX)
    assert result.exit_code == 0, result.output
    assert "0 wrong, 2 doubtful" in result.output


def test_errors_come_first_with_place_reason_and_remedy(tmp_path: Path) -> None:
    broken = tmp_path / "nginx.conf"
    broken.write_text(Path(NGINX).read_text().replace("auth_request     /_extauthz;", "auth_request /_extauthz?x=1;"))
    result = run("--envoy", ENVOY, "--nginx", str(broken))
    assert result.exit_code == 1
    first, where, why, fix, *_ = result.output.splitlines()
    assert first.startswith("error ")
    assert where.split()[0] == "where"
    file, _, line = where.split()[1].rpartition(":")
    assert file == str(broken)
    assert "?x=1" in broken.read_text().splitlines()[int(line) - 1]
    assert why.split()[0] == "why"
    assert fix.split()[:3] == ["fix", "auth_request", "/_extauthz;"]
    severities = [line.split()[0] for line in result.output.splitlines() if line[:1] in ("e", "w", "o")]
    assert severities == sorted(severities, key=("error", "warning", "ok").index)


def test_json_has_every_finding() -> None:
    document = json.loads(run("--nginx", NGINX, "--json").output)
    assert (document["errors"], document["warnings"]) == (0, 1)
    assert set(document["findings"][0]) == {"severity", "check", "where", "what", "why", "fix"}
    assert document["findings"][0]["severity"] == "warning"


def test_included_files_are_read(tmp_path: Path) -> None:
    text = Path(NGINX).read_text()
    start, end = text.index("    server {"), text.rindex("}")
    (tmp_path / "nginx.conf").write_text(f"{text[:start]} include sites/*.conf; include missing; }}")
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites/api.conf").write_text(text[start:end].replace("internal; ", ""))
    document = json.loads(run("--nginx", str(tmp_path / "nginx.conf"), "--json").output)
    found = [(each["check"], each["where"].split(":")[0]) for each in document["findings"] if each["severity"] != "ok"]
    assert found == [
        ("auth-internal", str(tmp_path / "sites/api.conf")),
        ("unchecked", str(tmp_path / "sites/api.conf")),
        ("nginx-include", str(tmp_path / "nginx.conf")),
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--config", CONFIG),
        ("--envoy", "missing.yaml"),
        ("--nginx", str(ROOT)),
        ("--url", "api.example.com"),
        ("--url", "ftp://api.example.com"),
        ("--url", "https://user:secret@api.example.com"),
        ("--url", "https://api.example.com/orders"),
        ("--url", "https://api.example.com:99999999"),
        ("--envoy-admin", "127.0.0.1:9901"),
        ("--nginx", NGINX, "--config", ENVOY),
    ],
)
def test_wrong_usage_is_2(arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert "secret" not in result.output


def test_without_the_extra_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "extauthz.doctor.envoy", raising=False)
    monkeypatch.setitem(sys.modules, "extauthz.doctor.envoy_api", None)
    for name in ("envoy_authz", "envoy_chain", "envoy_file", "envoy_match"):
        monkeypatch.delitem(sys.modules, f"extauthz.doctor.{name}", raising=False)
    result = run("--envoy", ENVOY)
    assert result.exit_code == 2
    assert "pip install 'extauthz[doctor]'" in result.output


@pytest.mark.parametrize("option", ["--url", "--envoy-admin"])
def test_a_gateway_that_is_not_there_is_an_error(option: str) -> None:
    result = run(option, "http://127.0.0.1:1")
    assert result.exit_code == 1
    assert ("no answer" if option == "--url" else "does not say") in result.output
