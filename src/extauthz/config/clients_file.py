"""The file of `extauthz client import`: how the clients of the embedded authorization server shall be."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from extauthz.config.credentials import SecretSource
from extauthz.config.document import Document
from extauthz.config.faults import ConfigError, Fault
from extauthz.config.fields import Flag, ScopeList, Text, Texts, TrustedNetwork
from extauthz.config.load import read_document
from extauthz.config.own_secrets import read_source
from extauthz.config.section import Section
from extauthz.config.validate import validate
from extauthz.config.values import Misfit
from extauthz.keyfiles import UnusableError, read_file

MAX_KEYS_BYTES = 64 * 1024
"""A larger file is no set of a client's keys."""

Grant = Literal["client_credentials", "refresh_token"]


def refuse_plain(value: object) -> object:
    """Return it unchanged unless it is the secret itself."""
    if not isinstance(value, dict):
        raise Misfit("write {file: …} or {env: …}: secrets do not belong in this file")
    return value


class KeysFile(Section):
    """Where the public keys of a client are."""

    file: Text = Field(examples=["keys/app.json"])


class ClientEntry(Section):
    """One client. Without `secret`, one that is there keeps the secret that it has."""

    secret: Annotated[SecretSource, BeforeValidator(refuse_plain)] | None = None
    keys: KeysFile | None = None
    certificate_subject: Text | None = None
    can_introspect: Flag = False
    audiences: Texts = ()
    scopes: ScopeList = ()
    networks: tuple[TrustedNetwork, ...] = ()
    grants: tuple[Grant, ...] = ("client_credentials",)
    jwt_access_tokens: Flag = False
    certificate_bound_tokens: Flag = False
    disabled: Flag = False

    @field_validator("keys", "certificate_subject")
    @classmethod
    def _only_one(cls, value: object, info: ValidationInfo) -> object:
        others = [name for name in ("secret", "keys") if info.data.get(name) is not None]
        if value is not None and others:
            raise Misfit(f"a client proves itself in one way: take this or {others[0]} out")
        return value


class ClientsFile(Section):
    """All clients by their ids."""

    clients: dict[Text, ClientEntry] = Field(examples=["{app: {secret: {file: secrets/app}}}"])


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadClient:
    """An entry with what stands in the files that it names."""

    client_id: str
    entry: ClientEntry
    secret: str | None = field(default=None, repr=False)
    keys: str = ""


def load_clients(path: Path, environ: Mapping[str, str]) -> list[ReadClient]:
    """Read the file; paths in it are relative to its folder.

    Raises:
        ConfigError: with all faults.
    """
    document = read_document(path)
    file, faults = validate(ClientsFile, document)
    if file is None:
        raise ConfigError(faults)
    found = list(_read_all(file, document, path.parent, environ))
    broken = [one for one in found if isinstance(one, Fault)]
    if broken:
        raise ConfigError(broken)
    return [one for one in found if isinstance(one, ReadClient)]


def _read_all(
    file: ClientsFile, document: Document, folder: Path, environ: Mapping[str, str]
) -> Iterator[ReadClient | Fault]:
    for client_id, entry in file.clients.items():
        try:
            secret = None if entry.secret is None else read_source(entry.secret, folder, environ)
        except UnusableError as error:
            yield document.fault(("clients", client_id, "secret"), str(error), excerpt=False)
            continue
        try:
            keys = "" if entry.keys is None else read_file(folder / entry.keys.file, MAX_KEYS_BYTES).decode()
        except (UnusableError, UnicodeDecodeError) as error:
            yield document.fault(("clients", client_id, "keys", "file"), str(error))
            continue
        yield ReadClient(client_id=client_id, entry=entry, secret=secret, keys=keys)
