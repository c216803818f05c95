"""From the disk to a configuration that can run. The only reader of files and environment.

1. settings  extauthz.yaml, judged by its schema
2. secrets   from the files and variables that it names
3. policy    the policy file that it names, judged by its schema
4. rules     names, servers and ties between routes; the compiled snapshot

No step waits for the one before to succeed: an operator sees every fault of both files at once.
"""

import gc
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from extauthz.config.compile import compile_policy
from extauthz.config.document import Document
from extauthz.config.faults import ConfigError, Fault
from extauthz.config.schema import PolicyFile, SecretSource, ServiceFile
from extauthz.config.secret import Secret
from extauthz.config.validate import (
    check_names,
    check_servers,
    check_ties,
    described_servers,
    sound_policy,
    sound_secrets,
    validate,
)
from extauthz.config.yaml_source import MAX_FILE_BYTES, read_yaml
from extauthz.core.snapshot import Snapshot

MAX_SECRET_BYTES = 64 * 1024
"""A larger file is not a secret."""

_CONTROL = re.compile("[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """Everything that both files say, and the secrets that they point to.

    Attributes:
        settings: `extauthz.yaml`.
        secrets: the client secret for each authorization server, by its name.
        policy_path: where the policy file is.
        snapshot: the compiled policy.
        folder: where `extauthz.yaml` is; paths in it are relative to that.
    """

    settings: ServiceFile
    secrets: Mapping[str, Secret]
    policy_path: Path
    snapshot: Snapshot
    folder: Path = Path()


class _UnusableError(Exception):
    """A file or variable that gives nothing; the message says why and repeats nothing of what is in it."""


def load_service(path: Path, environ: Mapping[str, str]) -> ServiceConfig:
    """Read `extauthz.yaml` and the policy file that it names; paths in it are relative to its folder.

    Raises:
        ConfigError: with all faults of both files.
    """
    with _collector_paused():
        document = _read_document(path)
        settings, faults = validate(ServiceFile, document)  # 1
        secrets, secret_faults = _read_secrets(document, path.parent, environ)  # 2
        policy_path, snapshot, policy_faults = _load_policy(document, path.parent, settings)  # 3, 4
    faults = (*faults, *secret_faults, *_unreadable_certificates(document, path.parent, settings), *policy_faults)
    if faults or settings is None or snapshot is None:
        raise ConfigError(faults)
    return ServiceConfig(
        settings=settings, secrets=secrets, policy_path=policy_path, snapshot=snapshot, folder=path.parent
    )


def _unreadable_certificates(document: Document, folder: Path, settings: ServiceFile | None) -> Iterator[Fault]:
    tls = None if settings is None else settings.tls
    files = {} if tls is None else {"certificate": tls.certificate, "key": tls.key, "client_ca": tls.client_ca}
    for key, file in files.items():
        try:
            if file is not None:
                _read(folder / file, MAX_SECRET_BYTES)
        except _UnusableError as error:
            yield document.fault(("tls", key), str(error), value=file or "")


@contextmanager
def _collector_paused() -> Iterator[None]:
    """No search for cycles meanwhile: there are none, and it is more than half the time that a large policy takes."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read_secrets(
    document: Document, folder: Path, environ: Mapping[str, str]
) -> tuple[Mapping[str, Secret], list[Fault]]:
    secrets: dict[str, Secret] = {}
    faults = []
    for path, source in sound_secrets(document):
        try:
            secrets[str(path[1])] = _read_secret(source, folder, environ)
        except _UnusableError as error:
            place = (*path, "env" if source.file is None else "file")
            faults.append(document.fault(place, str(error), excerpt=False))
    return MappingProxyType(secrets), faults


def _read_secret(source: SecretSource, folder: Path, environ: Mapping[str, str]) -> Secret:
    if source.file is None:
        text = environ.get(source.env or "")
        if text is None:
            raise _UnusableError("this environment variable is not set")
    else:
        text = _one_line(_read(folder / source.file, MAX_SECRET_BYTES))
    if not text.strip():
        raise _UnusableError("the secret is empty")
    if _CONTROL.search(text):
        raise _UnusableError("the secret has a second line or a control character")
    return Secret(text)


def _one_line(content: bytes) -> str:
    if len(content) > MAX_SECRET_BYTES:
        raise _UnusableError(f"this file is larger than {MAX_SECRET_BYTES} bytes: it cannot be a secret")
    try:
        return content.removesuffix(b"\n").removesuffix(b"\r").decode()
    except UnicodeDecodeError:
        raise _UnusableError("this file is not UTF-8 text") from None


def _load_policy(
    service: Document, folder: Path, settings: ServiceFile | None
) -> tuple[Path, Snapshot | None, list[Fault]]:
    named = service.at(("policy",))
    if not isinstance(named, str) or not named:
        return folder, None, []
    path = folder / named
    try:
        document = read_yaml(_read(path, MAX_FILE_BYTES), str(path))
    except _UnusableError as error:
        return path, None, [service.fault(("policy",), str(error), value=named)]
    policy, faults = validate(PolicyFile, document)
    sound = sound_policy(policy, document)
    snapshot, ties = compile_policy(sound, {} if settings is None else settings.authorization_servers)
    found = [
        *faults,
        *check_names(document),
        *check_servers(sound, document, described_servers(service)),
        *check_ties(ties, sound, document),
    ]
    return path, None if policy is None or found else snapshot, found


def _read_document(path: Path) -> Document:
    try:
        return read_yaml(_read(path, MAX_FILE_BYTES), str(path), private=True)
    except _UnusableError as error:
        return Document(file=str(path), faults=(Fault(file=str(path), line=1, column=1, message=str(error)),))


def _read(path: Path, limit: int) -> bytes:
    """The content of a file, up to one byte more than `limit`."""
    try:
        with path.open("rb") as file:
            return file.read(limit + 1)
    except FileNotFoundError:
        raise _UnusableError("this file does not exist") from None
    except PermissionError:
        raise _UnusableError("this file may not be read by this user") from None
    except IsADirectoryError:
        raise _UnusableError("this is a folder, not a file") from None
    except (OSError, ValueError):
        raise _UnusableError("this file cannot be read") from None
