"""Which changes of `extauthz.yaml` can be applied to a running service."""

from pathlib import Path

import pytest
import yaml

from extauthz.config.load import load_service
from extauthz.config.service_schema import LIVE, ServiceFile, restart_keys

SETTINGS = {
    "listen": {"gateway": "127.0.0.1:9191", "ops": "127.0.0.1:9192"},
    "policy": "policy.yaml",
    "authorization_servers": {
        "main": {"introspection_endpoint": "http://127.0.0.1:1/", "client": {"id": "gateway", "secret": {"env": "S"}}}
    },
}


def settings(folder: Path, **changes: object) -> ServiceFile:
    for name in ("policy.yaml", "other.yaml"):
        (folder / name).write_text("version: 1\nroutes: [{name: a, path: /a, scopes: []}]\n")
    path = folder / "extauthz.yaml"
    path.write_text(yaml.safe_dump(SETTINGS | changes))
    return load_service(path, {"S": "s"}).settings


@pytest.mark.parametrize(
    "changes", [{}, {"policy": "other.yaml"}, {"log": {"level": "debug"}}, {"drain_delay": "7s"}], ids=str
)
def test_some_keys_are_live(tmp_path: Path, changes: dict[str, object]) -> None:
    """A change of these alone takes no restart."""
    assert restart_keys(settings(tmp_path), settings(tmp_path, **changes)) == ()


def test_all_others_are_named(tmp_path: Path) -> None:
    """As the file has them, in one order whatever the file's."""
    new = settings(tmp_path, workers=3, reload={"watch": False}, drain_delay="7s", dialects=["envoy"])
    assert restart_keys(settings(tmp_path), new) == ("workers", "dialects", "reload")


def test_live_keys_are_keys() -> None:
    """None of them is misspelt."""
    assert ServiceFile.model_fields.keys() >= LIVE


def test_files_are_watched_unless_the_file_says_otherwise(tmp_path: Path) -> None:
    """200 ms of quiet by default."""
    section = settings(tmp_path).reload
    assert (section.watch, section.settle) == (True, 0.2)
    section = settings(tmp_path, reload={"watch": False, "settle": "1s"}).reload
    assert (section.watch, section.settle) == (False, 1.0)
