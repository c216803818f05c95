"""What operators keep in files is read strictly, and never repeated in an error."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from extauthz.keyfiles import (
    MAX_SECRET_BYTES,
    PrivateKey,
    TlsFiles,
    UnusableError,
    algorithms_of,
    check_hmac_secret,
    check_listener_files,
    read_private_key,
    read_secret,
    stamp,
    tls_context,
)
from support.certificates import Authority, KeyPair

CANARY = "canary-4f1c"
P256 = ec.generate_private_key(ec.SECP256R1())


def pem(key: PrivateKey | dsa.DSAPrivateKey, encryption: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keyfiles")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Authority:
    return Authority(folder)


@pytest.fixture(scope="module")
def pair(authority: Authority) -> KeyPair:
    return authority.issue("gateway")


@pytest.mark.parametrize("content", ["s3cret", "s3cret\n", "s3cret\r\n"])
def test_a_secret_is_one_line_without_its_end(content: str, tmp_path: Path) -> None:
    """Editors add a line break."""
    (tmp_path / "secret").write_bytes(content.encode())
    assert read_secret(tmp_path / "secret") == "s3cret"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (CANARY.encode() + b"\n\n", "a second line"),
        (CANARY.encode() + b"\x00", "a control character"),
        (CANARY.encode() + b"\xff", "not UTF-8"),
        (CANARY.encode() * MAX_SECRET_BYTES, "larger than"),
    ],
)
def test_a_file_that_is_no_secret_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    """The message says why and repeats nothing."""
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(UnusableError, match=words) as refused:
        read_secret(tmp_path / "secret")
    assert CANARY not in str(refused.value)


def test_a_secret_that_signs_is_long_enough() -> None:
    """RFC 7518 §3.2: as long as the hash."""
    assert check_hmac_secret("x" * 32) == "x" * 32
    with pytest.raises(UnusableError, match="at least 32 bytes"):
        check_hmac_secret("x" * 31)


@pytest.mark.parametrize(
    ("key", "algorithms"),
    [
        (rsa.generate_private_key(65537, 2048), ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        (P256, ("ES256",)),
        (ec.generate_private_key(ec.SECP384R1()), ("ES384",)),
        (ec.generate_private_key(ec.SECP521R1()), ("ES512",)),
        (ed25519.Ed25519PrivateKey.generate(), ("EdDSA", "Ed25519")),
    ],
    ids=["RSA", "P-256", "P-384", "P-521", "Ed25519"],
)
def test_a_private_key_that_can_sign_is_read(key: PrivateKey, algorithms: tuple[str, ...], tmp_path: Path) -> None:
    """And its algorithms are known, likewise those of its public half."""
    (tmp_path / "key").write_bytes(pem(key))
    assert algorithms_of(read_private_key(tmp_path / "key")) == algorithms
    assert algorithms_of(key.public_key()) == algorithms
    for algorithm in algorithms:
        assert read_private_key(tmp_path / "key", algorithm).public_key() == key.public_key()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (CANARY.encode(), "no private key in PEM"),
        (pem(P256, BestAvailableEncryption(b"x")), "encrypted"),
        (pem(rsa.generate_private_key(65537, 1024)), "cannot be used"),  # noqa: S505 - that is the point
        (pem(ec.generate_private_key(ec.SECP256K1())), "cannot be used"),
        (pem(dsa.generate_private_key(1024)), "cannot be used"),  # noqa: S505 - that is the point
        (b"x" * (MAX_SECRET_BYTES + 1), "larger than"),
    ],
    ids=["no key", "encrypted", "RSA 1024", "secp256k1", "DSA", "large"],
)
def test_a_file_without_a_usable_key_is_refused(content: bytes, words: str, tmp_path: Path) -> None:
    """The message says what to put there."""
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(UnusableError, match=words) as refused:
        read_private_key(tmp_path / "key")
    assert CANARY not in str(refused.value)


def test_a_key_for_another_algorithm_is_refused(tmp_path: Path) -> None:
    """The message says what it can."""
    (tmp_path / "key").write_bytes(pem(P256))
    with pytest.raises(UnusableError, match="does not sign with RS256, but with ES256"):
        read_private_key(tmp_path / "key", "RS256")


def test_a_connection_can_have_a_certificate_and_an_authority_of_its_own(authority: Authority, pair: KeyPair) -> None:
    """And still checks the server's."""
    context = tls_context(TlsFiles(ca=authority.path, certificate=pair.certificate, key=pair.key))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert len(context.get_ca_certs()) == 1


def test_without_an_authority_the_public_ones_are_trusted(pair: KeyPair) -> None:
    """A client certificate changes nothing about whom we trust."""
    context = tls_context(TlsFiles(certificate=pair.certificate, key=pair.key))
    assert len(context.get_ca_certs()) > 50
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_certificates_that_do_not_fit_are_refused(folder: Path, authority: Authority, pair: KeyPair) -> None:
    """Before anything connects with them."""
    other = authority.issue("other")
    (folder / "junk").write_text(CANARY)
    (folder / "locked").write_bytes(pem(P256, BestAvailableEncryption(b"x")))
    for files, words in (
        (TlsFiles(ca=folder / "junk"), "no certificate"),
        (TlsFiles(ca=folder / "none"), "does not exist"),
        (TlsFiles(certificate=pair.certificate, key=other.key), "not a pair"),
        (TlsFiles(certificate=pair.certificate, key=folder / "junk"), "not a pair"),
        (TlsFiles(certificate=pair.certificate, key=folder / "locked"), "encrypted"),
    ):
        with pytest.raises(UnusableError, match=words) as refused:
            tls_context(files)
        assert CANARY not in str(refused.value)


def test_a_listener_needs_a_pair_and_an_authority(authority: Authority, pair: KeyPair, tmp_path: Path) -> None:
    """Each file by itself may be good."""
    other = authority.issue("other")
    good = TlsFiles(certificate=pair.certificate, key=pair.key, ca=authority.path)
    check_listener_files(good)
    (tmp_path / "empty").write_bytes(b"")
    for bad, words in (
        (TlsFiles(certificate=pair.certificate, key=other.key), "not a pair"),
        (TlsFiles(certificate=pair.certificate, key=tmp_path / "empty"), "not a pair"),
        (TlsFiles(certificate=pair.certificate, key=pair.key, ca=tmp_path / "empty"), "no certificate"),
        (
            TlsFiles(certificate=pair.certificate, key=tmp_path / "missing"),
            f"{tmp_path}/missing: this file does not exist",
        ),
    ):
        with pytest.raises(UnusableError, match=words):
            check_listener_files(bad)


def test_a_stamp_differs_after_every_kind_of_change(tmp_path: Path) -> None:
    """Written, renamed over, a link set elsewhere, gone."""
    one, other, link = tmp_path / "one", tmp_path / "other", tmp_path / "link"
    one.write_text("a")
    other.write_text("a")
    link.symlink_to(one)
    stamps = [stamp(link)]
    one.write_text("ab")
    stamps.append(stamp(link))
    other.rename(one)
    stamps.append(stamp(link))
    link.unlink()
    stamps.append(stamp(link))
    assert len(set(stamps)) == 4
    assert stamps[-1] is None
