"""From the disk to a configuration that can run. The only reader of files and environment at the start.

1. settings  extauthz.yaml, judged by its schema
2. secrets   from the files and variables that it names; keys and certificates likewise
3. policy    the policy file that it names, and the candidate, judged by their schema
4. rules     names, servers and ties between routes; the compiled snapshot

No step waits for the one before to succeed: an operator sees every fault of both files at once.
"""

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from extauthz.config.document import Document
from extauthz.config.faults import ConfigError, Fault
from extauthz.config.files import check_files, check_listener
from extauthz.config.includes import read_policy_text
from extauthz.config.judge import judge_policy
from extauthz.config.own_secrets import OwnSecrets, read_own_secrets, read_source
from extauthz.config.secret import Secret
from extauthz.config.service_schema import ServiceFile
from extauthz.config.sources import Sources
from extauthz.config.validate import described_servers, sound_secrets, validate
from extauthz.config.values import Address
from extauthz.config.yaml_source import read_yaml
from extauthz.core.snapshot import Snapshot
from extauthz.keyfiles import Stamp, UnusableError


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """Everything that both files say, and the secrets that they point to.

    Attributes:
        settings: `extauthz.yaml`.
        folder: where it is, which paths in it are relative to.
        secrets: the client secret for each authorization server that has one, by its name.
        own: what we share with our like, and with the operator.
        policy_path: where the policy file is.
        snapshot: the compiled policy, with the candidate that is tried out beside it.
        seen: the files that it was made from, each as it was then; a change of any is a reason to read them again.
        digest: SHA-256 of the files of policy and candidate.
    """

    settings: ServiceFile
    folder: Path
    secrets: Mapping[str, Secret]
    own: OwnSecrets
    policy_path: Path
    snapshot: Snapshot
    seen: Mapping[Path, Stamp]
    digest: str


class _Policy(NamedTuple):
    """A policy file, what it means, and what is wrong with it."""

    path: Path
    snapshot: Snapshot | None = None
    faults: Sequence[Fault] = ()


def load_service(path: Path, environ: Mapping[str, str], sources: Sources | None = None) -> ServiceConfig:
    """Read `extauthz.yaml` and the policy file that it names; paths in it are relative to its folder.

    `sources` is told of each file, which is of use when there is no configuration to tell it.

    Raises:
        ConfigError: with all faults of all files.
    """
    sources = Sources() if sources is None else sources
    with _collector_paused():
        document = read_document(path, sources)
        settings, faults = validate(ServiceFile, document)  # 1
        secrets, secret_faults = _read_secrets(document, path.parent, environ)  # 2
        file_faults = check_files(document, path.parent, secrets)  # 2
        own, own_faults = read_own_secrets(document, path.parent, environ)  # 2
        listener_faults = check_listener(document, None if settings is None else settings.tls, path.parent)  # 2
        policy = _load_policy("policy", document, path.parent, settings, sources)  # 3, 4
        candidate = _load_policy("candidate", document, path.parent, settings, sources)  # 3, 4
    faults = (
        *faults,
        *secret_faults,
        *file_faults,
        *own_faults,
        *listener_faults,
        *policy.faults,
        *candidate.faults,
    )
    if faults or settings is None or policy.snapshot is None:
        raise ConfigError(faults)
    return ServiceConfig(
        settings=settings,
        folder=path.parent,
        secrets=secrets,
        own=own,
        policy_path=policy.path,
        snapshot=replace(policy.snapshot, candidate=candidate.snapshot),
        seen=sources.seen,
        digest=sources.digest,
    )


def load_ops(path: Path, environ: Mapping[str, str]) -> tuple[Address, Secret | None]:
    """Where the ops listener is and what it wants to be shown; faults of anything else do not matter.

    Raises:
        ConfigError: when the file does not say it.
    """
    document = read_document(path)
    settings, faults = validate(ServiceFile, document)
    if settings is None:
        raise ConfigError(faults)
    own, faults = read_own_secrets(document, path.parent, environ)
    if own.ops_token is None and settings.ops.token is not None:
        raise ConfigError(faults)
    return settings.listen.ops, own.ops_token


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
            secrets[str(path[1])] = Secret(read_source(source, folder, environ))
        except UnusableError as error:
            place = (*path, "env" if source.file is None else "file")
            faults.append(document.fault(place, str(error), excerpt=False))
    return MappingProxyType(secrets), faults


def _load_policy(key: str, service: Document, folder: Path, settings: ServiceFile | None, sources: Sources) -> _Policy:
    named = service.at((key,))
    if not isinstance(named, str) or not named:
        return _Policy(folder)
    path = folder / named
    try:
        document = read_policy_text(path, sources)
    except UnusableError as error:
        return _Policy(path, faults=[service.fault((key,), str(error), value=named)])
    servers = {} if settings is None else settings.authorization_servers
    judged = judge_policy(document, servers, described_servers(service))
    return _Policy(path, judged.snapshot, judged.faults)


def read_document(path: Path, sources: Sources | None = None) -> Document:
    """A file as a document; one that cannot be read is a document with that one fault."""
    sources = Sources() if sources is None else sources
    try:
        return read_yaml(sources.read(path), str(path), private=True)
    except UnusableError as error:
        return Document(file=str(path), faults=(Fault(file=str(path), line=1, column=1, message=str(error)),))
