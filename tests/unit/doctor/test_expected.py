"""What the service's own files say about the gateway, read without its secrets."""

from pathlib import Path

import pytest

from extauthz.config.faults import ConfigError
from extauthz.doctor.expected import FAILURE_MODE_HEADER, Expected, load_expected, twins

EXAMPLES = Path(__file__).parents[3] / "examples"
SERVICE = (EXAMPLES / "extauthz.yaml").read_text(encoding="utf-8")
POLICY = (EXAMPLES / "policy.yaml").read_text(encoding="utf-8")


def written(folder: Path, service: str = SERVICE, policy: str = POLICY) -> Path:
    (folder / "extauthz.yaml").write_text(service)
    (folder / "policy.yaml").write_text(policy)
    return folder / "extauthz.yaml"


def test_the_examples_are_read_without_their_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXTAUTHZ_CLIENT_SECRET", raising=False)
    expected = load_expected(EXAMPLES / "extauthz.yaml")
    assert expected.identity_headers == ("x-auth-sub", "x-auth-scope")
    assert expected.introspection_seconds == 0.5
    assert expected.patience_seconds == pytest.approx(0.6)
    assert expected.routes is not None
    assert "payments" in [rule.name for rule in expected.routes.rules]


def test_the_policys_headers_and_the_longest_timeout_count(tmp_path: Path) -> None:
    server = "\n".join(SERVICE.splitlines()[SERVICE.splitlines().index("  main:") :])
    service = SERVICE + server.replace("  main:", "  other:").replace("timeout: 500ms", "timeout: 2s") + "\n"
    expected = load_expected(written(tmp_path, service, POLICY.replace("x-auth-scope: scope", "x-user: username")))
    assert expected.identity_headers == ("x-auth-sub", "x-user")
    assert expected.introspection_seconds == 2


@pytest.mark.parametrize(
    ("service", "policy", "file"),
    [
        (SERVICE.replace("timeout: 500ms", "timeout: 5"), POLICY, "extauthz.yaml"),
        (SERVICE, POLICY.replace("version: 1", "version: 2"), "policy.yaml"),
        (SERVICE, POLICY.replace("name: profile", "name: health"), "policy.yaml"),
        (SERVICE, POLICY.replace("path: /me", "path: /healthz"), "policy.yaml"),
        (SERVICE.replace("policy: policy.yaml", "policy: missing.yaml"), POLICY, "missing.yaml"),
    ],
)
def test_faults_are_told_with_their_place(tmp_path: Path, service: str, policy: str, file: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_expected(written(tmp_path, service, policy))
    assert {fault.file for fault in raised.value.faults} == {str(tmp_path / file)}


def test_without_files_the_defaults_of_a_policy_count() -> None:
    assert Expected().identity_headers == ("x-auth-sub", "x-auth-scope")
    assert Expected().patience_seconds is None
    assert not Expected().uses_hosts


def test_every_joining_of_the_words_is_a_twin() -> None:
    assert twins("x-user") == ("x-user", "x_user", "x.user")
    assert len(twins("x-auth-sub")) == 9
    assert Expected(identity_headers=("x-user",)).removed_headers == ("x_user", "x.user", FAILURE_MODE_HEADER)
