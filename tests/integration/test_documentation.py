"""What a reader copies out of README.md and docs/ works as it stands there."""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import pytest
from click.testing import CliRunner

from extauthz.cli import main
from extauthz.config.service_schema import ServiceFile
from extauthz.config.validate import validate
from extauthz.config.yaml_source import read_yaml

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SERVER = "authorization_servers:\n  main:\n    introspection_endpoint: https://as.example.com/i\n    client: {id: a, secret: {env: A}}\n"
HEAD = "listen: {gateway: 127.0.0.1:9191, ops: 127.0.0.1:9192}\npolicy: policy.yaml\n"


def sections() -> Iterator[str]:
    """Every part of extauthz.yaml that a page of docs/ shows, made whole."""
    for page in sorted((ROOT / "docs").glob("*.md")):
        for text in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            match re.match("[a-z_]+", text):
                case re.Match() as first if first[0] in {"preset", "issuer"}:
                    yield f"{HEAD}authorization_servers:\n  main:\n{indent(text, '    ')}"
                case re.Match() as first if first[0] == "authorization_servers":
                    yield HEAD + text
                case re.Match() as first if first[0] in ServiceFile.model_fields.keys() - {"policy", "listen"}:
                    yield HEAD + SERVER + text


@pytest.mark.parametrize("text", list(sections()))
def test_each_part_of_the_file_in_the_documentation_is_good(text: str) -> None:
    """By the schema; what files and variables hold is the reader's."""
    value, faults = validate(ServiceFile, read_yaml(text.encode(), "extauthz.yaml"))
    assert faults == ()
    assert value is not None


def block(language: str, first: str) -> str:
    """The code block that begins like this."""
    (found,) = (text for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if text.startswith(first))
    return str(found)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Both files of the page, and the secret that they name."""
    (tmp_path / "extauthz.yaml").write_text(block("yaml", "listen:"))
    (tmp_path / "policy.yaml").write_text(block("yaml", "version: 1"))
    (tmp_path / "gateway.secret").write_text("secret\n")
    return tmp_path


@pytest.mark.parametrize("command", ["check", "policy check --strict"])
def test_its_two_files_are_good(folder: Path, command: str) -> None:
    """Nothing doubtful is in them either."""
    result = CliRunner().invoke(main, [*command.split(), "--config", str(folder / "extauthz.yaml")])
    assert (result.exit_code, "good, 5 routes" in result.output) == (0, True), result.output


def test_its_nginx_has_no_error_by_our_own_doctor(folder: Path) -> None:
    """Warnings are about what only the whole file can have, such as the true status."""
    upstreams = "upstream app { server 127.0.0.1:10002; } upstream extauthz { server 127.0.0.1:9191; }"
    server = f"server {{ listen 10001; {block('nginx', 'location')} }}"
    (folder / "nginx.conf").write_text(f"events {{}} http {{ {upstreams} {server} }}")
    result = CliRunner().invoke(main, ["doctor", "--nginx", str(folder / "nginx.conf")])
    assert (result.exit_code, "0 wrong" in result.output) == (0, True), result.output
