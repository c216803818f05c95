"""The files in examples/deploy fit the program: its commands, its paths, its ports and its times."""

import configparser
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from extauthz.cli import main
from extauthz.cli.worker import STOP_SECONDS
from extauthz.config.load import ServiceConfig, load_service
from extauthz.config.service_schema import ServiceFile
from extauthz.core.decision import Reason
from extauthz.observe.events import Happening
from extauthz.observe.metrics import Metrics

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "examples" / "deploy"
CREDENTIALS = Path("/run/credentials/extauthz.service")


def _drain_seconds() -> float:
    return float(ServiceFile.model_fields["drain_delay"].default)


def _accepts(command: list[str]) -> None:
    """Fail unless the command line is one of ours."""
    context = main.make_context("extauthz", command, resilient_parsing=False)
    with context:
        name, sub, rest = main.resolve_command(context, [*context._protected_args, *context.args])  # noqa: SLF001 - click has no other way
        assert name is not None
        assert sub is not None
        with sub.make_context(name, rest, parent=context) as parsed:
            assert parsed.params["config_path"] == Path("/etc/extauthz/extauthz.yaml")


class TestSystemd:
    """examples/deploy/extauthz.service."""

    @pytest.fixture
    def service(self) -> configparser.SectionProxy:
        unit = configparser.ConfigParser(interpolation=None, delimiters=("=",), strict=True)
        unit.optionxform = str  # type: ignore[assignment,method-assign] # the names have capitals
        unit.read(DEPLOY / "extauthz.service")
        return unit["Service"]

    def test_it_checks_and_then_serves(self, service: configparser.SectionProxy) -> None:
        """With options that exist."""
        for key, word in (("ExecStartPre", "check"), ("ExecStart", "serve")):
            program, *command = service[key].split()
            assert program == "/opt/extauthz/bin/extauthz"
            assert command[0] == word
            _accepts(command)

    def test_it_waits_for_the_drain(self, service: configparser.SectionProxy) -> None:
        """A kill before that would cut requests off."""
        assert int(service["TimeoutStopSec"].removesuffix("s")) > _drain_seconds() + STOP_SECONDS

    def test_the_credential_is_where_the_comment_says(self, service: configparser.SectionProxy) -> None:
        name, _, _ = service["LoadCredential"].partition(":")
        assert f"{{file: {CREDENTIALS / name}}}" in (DEPLOY / "extauthz.service").read_text()


class TestKubernetes:
    """examples/deploy/kubernetes.yaml."""

    @pytest.fixture
    def objects(self) -> dict[str, dict[str, Any]]:
        return {each["kind"]: each for each in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())}

    @pytest.fixture
    def config(self, objects: dict[str, dict[str, Any]], tmp_path: Path) -> ServiceConfig:
        """What a worker reads there; only the secret lies elsewhere."""
        secret = tmp_path / "gateway"
        secret.write_text("s3cret")
        for name, text in objects["ConfigMap"]["data"].items():
            (tmp_path / name).write_text(text.replace("/run/secrets/extauthz/gateway", str(secret)))
        return load_service(tmp_path / "extauthz.yaml", {})

    @pytest.fixture
    def pod(self, objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
        pod: dict[str, Any] = objects["Deployment"]["spec"]["template"]["spec"]
        return pod

    def test_the_ports_are_those_of_the_files(self, config: ServiceConfig, pod: dict[str, Any]) -> None:
        """And the probes ask the ops listener."""
        (container,) = pod["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        listen = config.settings.listen
        assert (str(listen.gateway), str(listen.ops)) == (f"0.0.0.0:{ports['gateway']}", f"0.0.0.0:{ports['ops']}")
        assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "ops"}
        assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": "ops"}

    def test_the_arguments_are_ours(self, pod: dict[str, Any]) -> None:
        """The image's entry point is the program."""
        _accepts(pod["containers"][0]["args"])

    def test_it_waits_for_the_drain(self, pod: dict[str, Any]) -> None:
        """A kill before that would cut requests off."""
        assert pod["terminationGracePeriodSeconds"] > _drain_seconds() + STOP_SECONDS

    def test_the_secret_is_mounted_where_it_is_read(
        self, objects: dict[str, dict[str, Any]], pod: dict[str, Any]
    ) -> None:
        """Configuration is mounted as a folder, so that a change of the ConfigMap arrives."""
        mounts = {mount["name"]: mount for mount in pod["containers"][0]["volumeMounts"]}
        assert f"file: {mounts['secret']['mountPath']}/gateway" in objects["ConfigMap"]["data"]["extauthz.yaml"]
        assert mounts["config"]["mountPath"] == "/etc/extauthz"
        assert not any("subPath" in mount for mount in mounts.values())


def test_the_image_has_all_that_a_wheel_is_made_of(tmp_path: Path) -> None:
    """A wheel is built from what the Dockerfile copies, and from nothing else."""
    text = (DEPLOY / "Dockerfile").read_text()
    for line in re.findall(r"(?m)^COPY (?!--)(.+)$", text):
        *sources, target = line.split()
        for source in sources:
            _copy(ROOT / source, (tmp_path / target / source) if target == "./" else tmp_path / target)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=150)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"extauthz/cli/serve.py", "extauthz/_gen/extauthz_envoy_pb2.py"} <= set(names)
    assert any(name.endswith("entry_points.txt") for name in names)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def test_what_pages_is_called_by_its_name() -> None:
    """Reasons and metrics of docs/operations.md exist."""
    text = (ROOT / "docs" / "operations.md").read_text()
    rows = [row for row in text.partition("## When it pages")[2].splitlines() if row.startswith("| ") and "`" in row]
    words = {word for row in rows for word in re.findall(r"`([a-z_]+)`", row.split("|")[1])}
    metrics = {word for word in words if word.startswith("extauthz_")}
    known = {reason.value for reason in Reason} | {what.value for what in Happening}
    assert len(words) > 8
    assert words - metrics <= known
    exposition = Metrics().exposition()[0].decode()
    assert all(f"# TYPE {metric.removesuffix('_total')}" in exposition for metric in metrics)
