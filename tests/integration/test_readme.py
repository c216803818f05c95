"""What a reader copies out of README.md works as it stands there."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from extauthz.cli import main

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


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
