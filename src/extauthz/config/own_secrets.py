"""Secrets that `extauthz.yaml` names besides those of clients: what we share with our like, and with the operator."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from extauthz.config.credentials import ClientTls, SecretSource
from extauthz.config.document import Document, Path as Place
from extauthz.config.faults import Fault
from extauthz.config.files import tls_files
from extauthz.config.secret import Secret
from extauthz.config.validate import sound
from extauthz.keyfiles import (
    UnusableError,
    check_secret,
    check_shared_keys,
    read_secret,
    read_shared_keys,
    tls_context,
)

MIN_OPS_TOKEN = 16
"""Characters of the token of the ops listener: nobody guesses that many."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSecrets:
    """Each is empty or None when the file names none."""

    shared_keys: tuple[bytes, ...] = field(default=(), repr=False)
    redis_password: Secret | None = None
    sentinel_password: Secret | None = None
    ops_token: Secret | None = None


def read_own_secrets(
    document: Document, folder: Path, environ: Mapping[str, str]
) -> tuple[OwnSecrets, tuple[Fault, ...]]:
    """The secrets, and a fault for each that cannot be read."""
    faults: list[Fault] = []

    def secret(*place: str) -> Secret | None:
        text = _read(document, place, lambda source: read_source(source, folder, environ), faults)
        return None if text is None else Secret(text)

    def keys(source: SecretSource) -> tuple[bytes, ...]:
        if source.file is not None:
            return read_shared_keys(folder / source.file)
        return check_shared_keys(_variable(source, environ))

    own = OwnSecrets(
        shared_keys=_read(document, ("shared_cache", "keys"), keys, faults) or (),
        redis_password=secret("shared_cache", "password"),
        sentinel_password=secret("shared_cache", "sentinel_password"),
        ops_token=secret("ops", "token"),
    )
    try:
        if own.ops_token is not None:
            check_ops_token(own.ops_token.reveal())
    except UnusableError as error:
        faults.append(document.fault(("ops", "token"), str(error), excerpt=False))
    return own, (*faults, *_check_tls(document, folder))


def read_ops_token(path: Path) -> str:
    """The token of the ops listener.

    Raises:
        UnusableError: when there is none, or one that could be guessed.
    """
    return check_ops_token(read_secret(path))


def check_ops_token(text: str) -> str:
    """Return it unchanged.

    Raises:
        UnusableError: when it could be guessed.
    """
    if len(text) < MIN_OPS_TOKEN:
        raise UnusableError(f"a token that revokes has {MIN_OPS_TOKEN} characters or more")
    return text


def read_source(source: SecretSource, folder: Path, environ: Mapping[str, str]) -> str:
    """The secret itself.

    Raises:
        UnusableError: when there is none.
    """
    if source.file is not None:
        return read_secret(folder / source.file)
    return check_secret(_variable(source, environ))


def _read(document: Document, place: Place, read: Callable[[SecretSource], T], faults: list[Fault]) -> T | None:
    source = sound(SecretSource, document.at(place))
    if source is None:
        return None
    try:
        return read(source)
    except UnusableError as error:
        name = "env" if source.file is None else "file"
        faults.append(document.fault((*place, name), str(error), excerpt=False))
        return None


def _variable(source: SecretSource, environ: Mapping[str, str]) -> str:
    text = environ.get(source.env or "")
    if text is None:
        raise UnusableError("this environment variable is not set")
    return text


def _check_tls(document: Document, folder: Path) -> Iterator[Fault]:
    place = ("shared_cache", "tls")
    tls = sound(ClientTls, document.at(place))
    if tls is not None:
        try:
            tls_context(tls_files(tls, folder))
        except UnusableError as error:
            yield document.fault(place, str(error), excerpt=False)
