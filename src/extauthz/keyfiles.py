"""Secrets and certificates as operators keep them in files; private keys: `signatures.py`.

Read at the start by the configuration, and again when they change by whoever uses them. An error says what is wrong
with a file and repeats nothing of what is in it.
"""

import re
import ssl
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import httpx

MAX_SECRET_BYTES = 64 * 1024
"""A larger file is neither a secret nor a key."""

MIN_HMAC_BYTES = 32
"""RFC 7518 §3.2, for HS256."""

SHARED_KEY_BYTES = 32
"""Of each key for what processes share."""

_HEX_KEY = re.compile(r"[0-9A-Fa-f]{64}")
_URL_SAFE = str.maketrans("-_", "+/")
_CONTROL = re.compile("[\x00-\x1f\x7f]")


Stamp = tuple[int, int, int, int] | None
"""What shows that a file has changed; None while there is none."""


class UnusableError(Exception):
    """A file or variable that gives nothing; the message says why and repeats nothing of what is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """What a connection needs besides the usual trust: PEM files, each None when there is none.

    Attributes:
        ca: whose certificates are trusted, instead of the public authorities.
        certificate: who we are, with the chain behind it.
        key: its private key.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files that there are."""
        return tuple(path for path in (self.ca, self.certificate, self.key) if path is not None)


class Validity(NamedTuple):
    """When a certificate is good, both ends included (RFC 5280 §4.1.2.5), in seconds since the epoch."""

    begins: float
    ends: float

    def objection(self, now: float) -> str:
        """What is wrong with it at this time; empty for a good one."""
        if now > self.ends:
            return f"it ended on {_date(self.ends)}"
        if now < self.begins:
            return f"it is good only from {_date(self.begins)}"
        return ""


def _date(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def stamp(path: Path) -> Stamp:
    """Times, inode and size of a file, or of what a symbolic link leads to.

    One of them differs once it was written anew, renamed over or given other rights, and after the swap of the folder
    behind a symbolic link by which Kubernetes changes what it mounts.
    """
    try:
        seen = path.stat()
    except (OSError, ValueError):
        return None
    return seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino, seen.st_size


def read_file(path: Path, limit: int) -> bytes:
    """The content of a file, up to one byte more than `limit`.

    Raises:
        UnusableError: when it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except FileNotFoundError:
        raise UnusableError("this file does not exist") from None
    except PermissionError:
        raise UnusableError("this file may not be read by this user") from None
    except IsADirectoryError:
        raise UnusableError("this is a folder, not a file") from None
    except (OSError, ValueError):
        raise UnusableError("this file cannot be read") from None


def read_secret(path: Path) -> str:
    """A secret: the one line of a file, whose end does not belong to it.

    Raises:
        UnusableError: when there is none.
    """
    content = read_small(path)
    try:
        return check_secret(content.removesuffix(b"\n").removesuffix(b"\r").decode())
    except UnicodeDecodeError:
        raise UnusableError("this file is not UTF-8 text") from None


def check_secret(text: str) -> str:
    """Return it unchanged.

    Raises:
        UnusableError: when it is empty or more than one line.
    """
    if not text.strip():
        raise UnusableError("the secret is empty")
    if _CONTROL.search(text):
        raise UnusableError("the secret has a second line or a control character")
    return text


def read_shared_keys(path: Path) -> tuple[bytes, ...]:
    """Keys of 32 bytes each, one a line.

    Raises:
        UnusableError: when there is none, or anything else.
    """
    try:
        return check_shared_keys(read_small(path).decode())
    except UnicodeDecodeError:
        raise UnusableError("this file is not UTF-8 text") from None


def check_shared_keys(text: str) -> tuple[bytes, ...]:
    """Keys of 32 bytes each in base64 or hexadecimal, with blanks or line ends between them.

    Raises:
        UnusableError: when there is none, or anything else.
    """
    keys = tuple(_shared_key(number, word) for number, word in enumerate(text.split(), start=1))
    if not keys:
        raise UnusableError("there is no key here: make one with openssl rand -base64 32")
    if len(set(keys)) < len(keys):
        raise UnusableError("a key stands here twice")
    return keys


def _shared_key(number: int, word: str) -> bytes:
    try:
        key = bytes.fromhex(word) if _HEX_KEY.fullmatch(word) else b64decode(word.translate(_URL_SAFE), validate=True)
    except ValueError:
        key = b""
    if len(key) != SHARED_KEY_BYTES:
        raise UnusableError(f"key {number} is not {SHARED_KEY_BYTES} bytes in base64 or hexadecimal")
    return key


def check_hmac_secret(text: str) -> str:
    """Return it unchanged.

    Raises:
        UnusableError: when it is too short to sign with (RFC 7518 §3.2).
    """
    if len(text.encode()) < MIN_HMAC_BYTES:
        raise UnusableError(f"a secret that signs has at least {MIN_HMAC_BYTES} bytes")
    return text


def tls_context(files: TlsFiles) -> ssl.SSLContext:
    """How to talk TLS to a server, from what is in the files now; the server's certificate is always checked.

    Raises:
        UnusableError: when a file cannot be used.
    """
    _check_readable(files)
    try:
        context = (
            httpx.create_ssl_context(trust_env=False)
            if files.ca is None
            else ssl.create_default_context(cafile=files.ca)
        )
    except (OSError, ValueError):
        raise UnusableError(f"{files.ca} has no certificate in PEM") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # Debian's Python leaves it to openssl.cnf
    if files.certificate is not None:
        try:
            context.load_cert_chain(files.certificate, files.key, password="")  # an encrypted key must not ask anybody
        except (OSError, ValueError):
            raise UnusableError("certificate and key are not a pair in PEM, or the key is encrypted") from None
    return context


def check_listener_files(files: TlsFiles) -> None:
    """See that a listener can speak TLS with what is in the files now. `ca`: who signs the certificates of clients.

    Raises:
        UnusableError: when it cannot.
    """
    _check_readable(files)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        if files.certificate is not None:
            context.load_cert_chain(files.certificate, files.key, password="")  # an encrypted key must not ask anybody
    except (OSError, ValueError):
        raise UnusableError("certificate and key are not a pair in PEM, or the key is encrypted") from None
    try:
        if files.ca is not None:
            context.load_verify_locations(cafile=files.ca)
    except (OSError, ValueError):
        raise UnusableError(f"{files.ca} has no certificate in PEM") from None


def read_validity(path: Path) -> Validity:
    """Of the first certificate in a PEM file, which is its owner's; the chain behind it belongs to others.

    Raises:
        UnusableError: when there is none that can be read.
    """
    from cryptography import x509  # noqa: PLC0415 - takes 8 MiB, and most need no certificate

    content = read_small(path)
    try:
        certificate = x509.load_pem_x509_certificate(content)
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except ValueError:
        raise UnusableError("the dates of its first certificate cannot be read") from None
    return Validity(begins.timestamp(), ends.timestamp())


def _check_readable(files: TlsFiles) -> None:
    for path in files.paths:
        try:
            read_small(path)
        except UnusableError as error:
            raise UnusableError(f"{path}: {error}") from None  # one of several


def read_small(path: Path) -> bytes:
    """The content of a file that holds a secret, a key or certificates.

    Raises:
        UnusableError: when it cannot be read, or is too large to be any of those.
    """
    content = read_file(path, MAX_SECRET_BYTES)
    if len(content) > MAX_SECRET_BYTES:
        raise UnusableError(f"this file is larger than {MAX_SECRET_BYTES} bytes: it cannot be a secret")
    return content
