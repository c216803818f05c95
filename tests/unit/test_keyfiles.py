"""What operators keep in files is read strictly, and never repeated in an error."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from extauthz.keyfiles import (
    MAX_SECRET_BYTES,
    TlsFiles,
    UnusableError,
    Validity,
    check_hmac_secret,
    check_listener_files,
    read_secret,
    read_validity,
    stamp,
    tls_context,
)
from support.certificates import Authority, KeyPair

CANARY = "canary-4f1c"


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
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_certificates_that_do_not_fit_are_refused(folder: Path, authority: Authority, pair: KeyPair) -> None:
    """Before anything connects with them."""
    other = authority.issue("other")
    (folder / "junk").write_text(CANARY)
    key = load_pem_private_key(pair.key.read_bytes(), password=None)
    locked = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    (folder / "locked").write_bytes(locked)
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


def test_a_certificate_is_good_from_its_first_second_to_its_last(authority: Authority, pair: KeyPair) -> None:
    """In a chain, its own dates count: it is the first, and the authority's certificate has others."""
    alone = read_validity(pair.certificate)
    chain = pair.certificate.with_name("chain.pem")
    chain.write_bytes(authority.issue("short", expired=True).certificate.read_bytes() + pair.certificate.read_bytes())
    short = read_validity(chain)
    assert short == read_validity(chain.with_name("short.pem"))
    assert short.ends < alone.ends
    assert [bool(alone.objection(now)) for now in (alone.begins - 1, alone.begins, alone.ends, alone.ends + 1)] == [
        True,
        False,
        False,
        True,
    ]


def test_a_date_is_told_as_people_and_programs_read_it() -> None:
    good = Validity(begins=1_700_000_000, ends=1_800_000_000)
    assert good.objection(1_800_000_001) == "it ended on 2027-01-15T08:00:00Z"
    assert good.objection(1_699_999_999) == "it is good only from 2023-11-14T22:13:20Z"


@pytest.mark.parametrize("content", ["", CANARY, f"-----BEGIN CERTIFICATE-----\n{CANARY}\n-----END CERTIFICATE-----\n"])
def test_dates_that_cannot_be_read_are_told_without_what_is_in_the_file(content: str, tmp_path: Path) -> None:
    (tmp_path / "tls.crt").write_text(content)
    with pytest.raises(UnusableError, match="cannot be read") as error:
        read_validity(tmp_path / "tls.crt")
    assert CANARY not in str(error.value)
