"""`authserver.yaml`, read strictly."""

import re
from pathlib import Path

import pytest

from extauthz.config.authserver_load import load_authserver
from extauthz.config.authserver_schema import AuthServerFile
from extauthz.config.clients_file import ClientsFile
from extauthz.config.faults import ConfigError
from extauthz.config.validate import validate
from extauthz.config.yaml_source import read_yaml
from support.certificates import Authority

GUIDE = Path(__file__).parents[3] / "docs" / "authserver.md"

LEAST = """\
listen: 127.0.0.1:9190
issuer: https://as.example.com
store: sqlite:///as.db
"""


def write(folder: Path, more: str = "", *, least: str = LEAST) -> Path:
    path = folder / "authserver.yaml"
    path.write_text(least + more)
    return path


def test_three_keys_are_enough(tmp_path: Path) -> None:
    """A file with listener, issuer and store is whole; the store is beside the file."""
    config = load_authserver(write(tmp_path), {})
    assert config.store.path == str(tmp_path / "as.db")
    assert (config.settings.audit, config.settings.workers, config.settings.batch) == ("stdout", 1, False)
    assert config.settings.limits.failures_per_address == 60


def test_everything_can_be_said(tmp_path: Path) -> None:
    """Every key is read, and every secret comes from where the file says."""
    for name in ("sign.pem", "hook"):
        (tmp_path / name).write_text("what it holds\n")
    Authority(tmp_path, "ca").issue("tls")
    path = write(
        tmp_path,
        """\
ops: 127.0.0.1:9193
store_password: {env: DB}
tls: {certificate: tls.pem, key: tls.key, client_ca: ca.pem}
trusted_proxies: [10.0.0.0/8]
limits: {requests_per_client: 6000, requests_per_address: 600, inactive_per_client: 60, redis: "rediss://r.example.com:6379/0", redis_password: {env: R}, redis_ca: ca.pem}
audit: store
audit_keep: 90d
anomalies: {new_address: false, webhook: "https://alerts.example.com/as", webhook_token: {file: hook}}
signing_keys: [sign.pem]
cleanup_every: 30s
batch: true
workers: 2
""",
        least=LEAST.replace("sqlite:///as.db", "postgresql://as@db.example.com/as"),
    )
    config = load_authserver(path, {"DB": "d", "R": "r"})
    assert (config.store_password, config.redis_password, config.webhook_token) == ("d", "r", "what it holds")
    assert config.store.with_password("a/b") == "postgresql://as:a%2Fb@db.example.com/as"
    assert "'d'" not in repr(config)
    assert config.settings.audit_keep == 90 * 86_400


@pytest.mark.parametrize(("written", "seconds"), [("0", 0), ("0d", 0), ("36h", 129_600), ("1h", 3600)])
def test_the_record_is_kept_as_long_as_is_asked_for(tmp_path: Path, written: str, seconds: int) -> None:
    """In days or in hours; 0 is for ever."""
    config = load_authserver(write(tmp_path, f"audit_keep: {written}\n"), {})
    assert config.settings.audit_keep == seconds


@pytest.mark.parametrize(
    ("more", "place", "complaint"),
    [
        ("ops: 127.0.0.1:9190\n", "4:6", "metrics need an address of their own"),
        ("store_password: {env: X}\n", "4:", "a file of SQLite has no password"),
        ("limits: {redis_password: {env: X}}\n", "4:", "a password of no Redis"),
        ("limits: {redis: 'redis://:geheim@r/0'}\n", "4:17", "a password has a place of its own"),
        ("limits: {redis: 'redis://r/0', redis_ca: ca.pem}\n", "4:", "write redis: rediss://"),
        ("limits: {redis: 'rediss://r/0', redis_ca: no.pem}\n", "4:", "this file does not exist"),
        ("audit_keep: 30\n", "4:13", "write a unit"),
        ("audit_keep: 5m\n", "4:13", "write at least 1h"),
        ("audit_keep: false\n", "4:13", "write a unit"),
        ("anomalies: {webhook: 'http://alerts.example.com/'}\n", "4:22", "use https"),
        ("anomalies: {webhook_token: geheim}\n", "4:", "secrets do not belong in this file"),
        ("anomalies: {webhook: 'https://a.example.com/', webhook_token: {env: X}}\n", "4:", "variable is not set"),
        ("audit: stdot\n", "4:8", "did you mean 'stdout'?"),
        ("limit: {}\n", "4:1", "did you mean 'limits'?"),
        ("tls: {certificate: no.crt, key: no.key}\n", "4:20", "this file does not exist"),
        ("signing_keys: [no.pem]\n", "4:16", "this file does not exist"),
        ("cleanup_every: 60\n", "4:16", "write a unit"),
        ("workers: 0\n", "4:10", "from 1 to 256"),
    ],
)
def test_a_fault_is_told_with_its_place(tmp_path: Path, more: str, place: str, complaint: str) -> None:
    """What cannot be used is named with line and column, and no secret is repeated."""
    path = write(tmp_path, more)
    with pytest.raises(ConfigError) as refused:
        load_authserver(path, {})
    assert f"{path}:{place}" in str(refused.value)
    assert complaint in str(refused.value)
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ("certificate: tls.pem, key: other.key", "not a pair"),
        ("certificate: tls.pem, key: tls.key, client_ca: tls.key", "no certificate"),
    ],
)
def test_a_listener_that_could_not_speak_tls_is_a_fault(tmp_path: Path, files: str, complaint: str) -> None:
    """It is told with its place before anything starts, not by each worker in the words of a library."""
    authority = Authority(tmp_path, "ca")
    for name in ("tls", "other"):
        authority.issue(name)
    path = write(tmp_path, f"tls: {{{files}}}\n")
    with pytest.raises(ConfigError, match=complaint) as refused:
        load_authserver(path, {})
    assert f"{path}:4:" in str(refused.value)


@pytest.mark.parametrize(
    "store", ["mysql://db/as", "postgresql://as:geheim@db/as", "postgresql://db/as?password=geheim", "sqlite:///"]
)
def test_a_store_has_an_address_without_password(tmp_path: Path, store: str) -> None:
    """A store that is none, or one with a password in its address, is refused without repeating it."""
    path = write(tmp_path, least=LEAST.replace("sqlite:///as.db", store))
    with pytest.raises(ConfigError) as refused:
        load_authserver(path, {})
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(("first_key", "model"), [("listen", AuthServerFile), ("clients", ClientsFile)])
def test_the_files_of_the_guide_are_good(first_key: str, model: type[AuthServerFile | ClientsFile]) -> None:
    """What the guide shows can be copied."""
    (block,) = re.findall(rf"``yaml\n({first_key}:.*?)``", GUIDE.read_text(), re.DOTALL)
    value, faults = validate(model, read_yaml(block.encode(), "docs/authserver.md"))
    assert faults == ()
    assert value is not None


def test_the_guide_names_every_key() -> None:
    """No key of the file is left out of the guide."""
    text = GUIDE.read_text()
    sections = [AuthServerFile, *(AuthServerFile.model_fields[name].annotation for name in ("limits", "anomalies"))]
    keys = {key for section in sections for key in getattr(section, "model_fields", {})}
    assert sorted(key for key in keys if key not in text) == []
