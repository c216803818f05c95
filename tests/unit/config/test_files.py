"""Keys and certificates are tried before anything starts."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from extauthz.config.credentials import ClientTls
from extauthz.config.files import check_files, check_listener, tls_files
from extauthz.config.secret import Secret
from extauthz.config.service_schema import Tls
from extauthz.config.yaml_source import read_yaml
from extauthz.keyfiles import TlsFiles
from support.certificates import Authority

SHORT = "canary-4f1c"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with good files and junk."""
    path = tmp_path_factory.mktemp("files")
    authority = Authority(path, "ca")
    authority.issue("rs")
    authority.issue("other")
    key = ec.generate_private_key(ec.SECP256R1())
    (path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (path / "junk").write_text(SHORT)
    return path


def faults_of(folder: Path, server: dict[str, Any], secret: str = "x" * 32) -> list[tuple[int, str]]:
    """Line and message of every fault of a file with this server."""
    text = yaml.safe_dump({"authorization_servers": {"main": server}}, sort_keys=False)
    document = read_yaml(text.encode(), "extauthz.yaml", private=True)
    faults = check_files(document, folder, {"main": Secret(secret)})
    assert not [fault for fault in faults if SHORT in fault.render()]
    return [(fault.line, fault.message) for fault in faults]


def private_key_jwt(file: str, **assertion: str) -> dict[str, Any]:
    return {"client": {"id": "rs", "auth": "private_key_jwt", "key": {"file": file}, "assertion": assertion}}


@pytest.mark.parametrize(
    "server",
    [
        {},
        private_key_jwt("key.pem"),
        private_key_jwt("key.pem", algorithm="ES256"),
        {"tls": {"ca": "ca.pem", "certificate": "rs.pem", "key": "rs.key"}},
        {"client": {"id": "rs", "auth": "client_secret_jwt", "secret": {"env": "A"}}},
    ],
)
def test_good_files_have_no_fault(server: dict[str, Any], folder: Path) -> None:
    """They are read as they will be used."""
    assert faults_of(folder, server) == []


@pytest.mark.parametrize(
    ("server", "line", "words"),
    [
        (private_key_jwt("nowhere"), 7, "does not exist"),
        (private_key_jwt("junk"), 7, "no private key in PEM"),
        (private_key_jwt("key.pem", algorithm="RS256"), 7, "does not sign with RS256"),
        ({"tls": {"ca": "junk"}}, 4, "no certificate"),
        ({"tls": {"certificate": "rs.pem", "key": "other.key"}}, 4, "not a pair"),
        ({"tls": {"certificate": "rs.pem", "key": "nowhere"}}, 4, "does not exist"),
    ],
)
def test_a_file_that_cannot_serve_is_a_fault_at_its_place(
    server: dict[str, Any], line: int, words: str, folder: Path
) -> None:
    """With a sentence, and without what is in it."""
    ((found, message),) = faults_of(folder, server)
    assert (found, words in message) == (line, True)


@pytest.mark.parametrize(
    ("certificate", "key", "client_ca", "places"),
    [
        ("rs.pem", "rs.key", "ca.pem", {}),
        ("rs.pem", "nowhere", "gone", {3: "does not exist", 4: "does not exist"}),
        ("rs.pem", "other.key", "ca.pem", {2: "not a pair"}),
        ("junk", "junk", "ca.pem", {2: "not a pair"}),
        ("rs.pem", "rs.key", "junk", {2: "no certificate"}),
    ],
)
def test_a_listener_that_could_not_speak_tls_is_a_fault(
    certificate: str, key: str, client_ca: str, places: dict[int, str], folder: Path
) -> None:
    """It is told before anything starts, not when the first gateway comes."""
    section = {"certificate": certificate, "key": key, "client_ca": client_ca}
    document = read_yaml(yaml.safe_dump({"tls": section}, sort_keys=True).encode(), "extauthz.yaml", private=True)
    faults = list(check_listener(document, Tls.model_validate(section), folder))
    assert not [fault for fault in faults if SHORT in fault.render()]
    assert len(faults) == len(places)
    assert all(words in fault.message for fault, words in zip(faults, places.values(), strict=True))


def test_a_secret_that_is_too_short_to_sign_is_a_fault(folder: Path) -> None:
    """RFC 7518 asks for 32 bytes."""
    server = {"client": {"id": "rs", "auth": "client_secret_jwt", "secret": {"env": "A"}}}
    ((_, message),) = faults_of(folder, server, SHORT)
    assert "at least 32 bytes" in message


def test_paths_are_relative_to_the_file(folder: Path) -> None:
    """As everywhere in it."""
    assert tls_files(ClientTls.model_validate({"ca": "ca.pem"}), folder) == TlsFiles(ca=folder / "ca.pem")
