"""`extauthz doctor` against real gateways, in front of a running extauthz: sound ones, and ones with a way around."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from extauthz.cli.doctor import doctor
from extauthz.cli.processes import ENVOY_VARIABLE, Process, envoy_command, free_ports, nginx_command
from extauthz.cli.upstream import Upstream
from support.gateways import envoy_binary, patient
from support.running import Running

ASK = "auth_request     /_extauthz;"
PROTECTED = {"list-orders", "read-order", "order-lines", "export", "admin", "me", "live", "billing", "tenant"}
"""Routes of the policy that a client may try with GET or HEAD."""


@contextmanager
def started(file: str, folder: Path, authorizer: Running, old: str = "", new: str = "") -> Iterator[tuple[Path, str]]:
    """A gateway with a shipped file, or with one that has something replaced; the file, and the URL."""
    port, upstream, admin = free_ports(3)
    ports = {10000: port, 10001: port, 10002: upstream, 9191: authorizer.gateway, 9901: admin}
    text = patient(file, ports)
    assert old in text
    config = folder / file
    config.write_text(text.replace(old, new) if old else text)
    command = nginx_command(config, folder) if file == "nginx.conf" else envoy_command(config)
    with Upstream(upstream), Process(file, command, log=folder / "log") as process:
        process.wait_for_http(f"http://127.0.0.1:{port}/healthz")
        yield config, f"http://127.0.0.1:{port}"


def examine(authorizer: Running, *arguments: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit status, and all errors."""
    config = str(authorizer.folder / "extauthz.yaml")
    result = CliRunner().invoke(doctor, ["--config", config, "--json", *arguments])
    findings = json.loads(result.stdout)["findings"]
    return result.exit_code, [each for each in findings if each["severity"] == "error"]


def named(errors: list[dict[str, Any]], check: str) -> set[str]:
    """The routes, or whatever else the errors of a check begin with."""
    return {each["what"].split()[0] for each in errors if each["check"] == check}


@pytest.mark.shows("N63")
@pytest.mark.parametrize(("file", "option"), [("envoy.yaml", "--envoy"), ("nginx.conf", "--nginx")])
def test_a_sound_deployment_has_no_error(tmp_path: Path, authorizer: Running, file: str, option: str) -> None:
    with started(file, tmp_path, authorizer) as (config, url):
        arguments = (option, str(config), "--url", url, "--unsafe-methods")
        assert examine(authorizer, *arguments) == (0, [])


@pytest.mark.shows("N63")
@pytest.mark.parametrize("question", ["/_extauthz?x=1", "/_extautz"])
def test_a_question_that_goes_to_the_application_itself(tmp_path: Path, authorizer: Running, question: str) -> None:
    with started("nginx.conf", tmp_path, authorizer, ASK, f"auth_request {question};") as (config, url):
        status, errors = examine(authorizer, "--url", url)
        assert status == 1
        assert named(errors, "no-token") == named(errors, "forged-token") == PROTECTED
        assert all(
            each["what"].endswith("answers without a token: 200") for each in errors if each["check"] == "no-token"
        )
        assert [each["check"] for each in examine(authorizer, "--nginx", str(config))[1]] == ["auth-uri"]


@pytest.mark.shows("N63")
@pytest.mark.parametrize(
    "trap", ["return 200;", "rewrite ^/me$ http://elsewhere.example.com/ permanent;", "satisfy any; allow all;"]
)
def test_an_answer_before_the_question(tmp_path: Path, authorizer: Running, trap: str) -> None:
    with started("nginx.conf", tmp_path, authorizer, ASK, f"{ASK} {trap}") as (config, url):
        status, errors = examine(authorizer, "--url", url)
        assert status == 1
        assert named(errors, "no-token") == ({"me", "tenant"} if "rewrite" in trap else PROTECTED)
        assert len(examine(authorizer, "--nginx", str(config))[1]) == 1


@pytest.mark.shows("N63")
def test_a_failure_that_opens(tmp_path: Path, authorizer: Running) -> None:
    """Nothing to see from outside while extauthz runs, so the file has to tell it."""
    opening = "recursive_error_pages on; error_page 502 504 =200 /50x.html;"
    with started("nginx.conf", tmp_path, authorizer, "recursive_error_pages on;", opening) as (config, url):
        assert examine(authorizer, "--url", url) == (0, [])
        assert [each["check"] for each in examine(authorizer, "--nginx", str(config))[1]] == ["auth-error-page"]


@pytest.mark.parametrize(("release", "status"), [("newest", 0), ("oldest", 1)])
def test_a_release_of_envoy_with_known_holes(
    tmp_path: Path, authorizer: Running, monkeypatch: pytest.MonkeyPatch, release: str, status: int
) -> None:
    """Only the running Envoy knows which one it is."""
    monkeypatch.setenv(ENVOY_VARIABLE, envoy_binary(release))
    with started("envoy.yaml", tmp_path, authorizer) as (config, _):
        (admin,) = re.findall(r"admin:\n.*port_value: (\d+)", config.read_text())
        found = examine(authorizer, "--envoy-admin", f"http://127.0.0.1:{admin}")
    assert found[0] == status
    assert [each["check"] for each in found[1]] == ["envoy-release"] * status


def test_a_route_of_envoy_without_the_check(tmp_path: Path, authorizer: Running) -> None:
    with started("envoy.yaml", tmp_path, authorizer, "{path: /gateway-health}", "{prefix: /orders}") as (config, url):
        status, errors = examine(authorizer, "--url", url)
        assert status == 1
        assert named(errors, "no-token") == {"list-orders", "read-order", "order-lines", "export"}
        assert [each["check"] for each in examine(authorizer, "--envoy", str(config))[1]] == ["unchecked-routes"]


def test_a_path_that_envoy_unescapes(tmp_path: Path, authorizer: Running) -> None:
    lenient = "escaped_slashes_action: UNESCAPE_AND_FORWARD"
    strict = "escaped_slashes_action: REJECT_REQUEST"
    with started("envoy.yaml", tmp_path, authorizer, strict, lenient) as (config, url):
        assert named(examine(authorizer, "--url", url)[1], "path-trick") == {"a"}
        assert [each["check"] for each in examine(authorizer, "--envoy", str(config))[1]] == ["escaped-slashes"]


@pytest.mark.shows("N58")
def test_a_gateway_that_cannot_ask(tmp_path: Path, authorizer: Running) -> None:
    """503 is no way around, and no working deployment either."""
    with started("nginx.conf", tmp_path, authorizer) as (_, url):
        folder = tmp_path / "elsewhere"
        folder.mkdir()
        text = (tmp_path / "nginx.conf").read_text()
        (port, nobody) = free_ports(2)
        own = url.rpartition(":")[2]
        (folder / "nginx.conf").write_text(text.replace(own, str(port)).replace(str(authorizer.gateway), str(nobody)))
        with Process("NGINX", nginx_command(folder / "nginx.conf", folder), log=folder / "log") as process:
            process.wait_for_port(port)
            status, errors = examine(authorizer, "--url", f"http://127.0.0.1:{port}")
    assert status == 1
    assert {each["what"].rsplit(maxsplit=1)[-1] for each in errors if each["check"] == "no-token"} == {"503"}
