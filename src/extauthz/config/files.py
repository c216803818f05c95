"""Keys and certificates that `extauthz.yaml` names: a broken one is a fault at its place, before anything starts."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from extauthz.config.credentials import Client, ClientTls
from extauthz.config.document import Document, Path as Place
from extauthz.config.faults import Fault
from extauthz.config.secret import Secret
from extauthz.config.validate import described_servers, sound
from extauthz.jwk_set import read_jwks_file
from extauthz.keyfiles import (
    MAX_SECRET_BYTES,
    TlsFiles,
    UnusableError,
    check_hmac_secret,
    check_listener_files,
    read_file,
    tls_context,
)

if TYPE_CHECKING:
    from extauthz.config.authserver_schema import ServerTls
    from extauthz.config.service_schema import Tls


def check_files(document: Document, folder: Path, secrets: Mapping[str, Secret]) -> list[Fault]:
    """A fault for each file that cannot serve its purpose, and for each secret that is too short for its own."""
    faults = []
    for name in described_servers(document):
        place: Place = ("authorization_servers", name)
        client, tls = sound(Client, document.at((*place, "client"))), sound(ClientTls, document.at((*place, "tls")))
        keys = document.at((*place, "jwt", "jwks_file"))
        found = (
            *_check_client(client, folder, secrets.get(name)),
            *_check_tls(tls, folder),
            *_check_keys(keys, folder),
        )
        faults += [document.fault((*place, *rest), message, excerpt=False) for rest, message in found]
    return faults


def tls_files(tls: ClientTls, folder: Path) -> TlsFiles:
    """The files of the section, as paths."""
    ca, certificate, key = (None if name is None else folder / name for name in (tls.ca, tls.certificate, tls.key))
    return TlsFiles(ca=ca, certificate=certificate, key=key)


def listener_files(tls: "Tls | ServerTls", folder: Path) -> TlsFiles:
    """Those of a listener. `ca`: who signs the certificates of those who call."""
    ca = None if tls.client_ca is None else folder / tls.client_ca
    return TlsFiles(ca=ca, certificate=folder / tls.certificate, key=folder / tls.key)


def check_listener(document: Document, tls: "Tls | ServerTls | None", folder: Path) -> Iterator[Fault]:
    """A fault for each file of the listener that cannot be read, else one if they cannot be used together."""
    if tls is None:
        return
    unreadable = []
    for key, file in (("certificate", tls.certificate), ("key", tls.key), ("client_ca", tls.client_ca)):
        try:
            if file is not None:
                read_file(folder / file, MAX_SECRET_BYTES)
        except UnusableError as error:
            unreadable.append(document.fault(("tls", key), str(error), value=file or ""))
    yield from unreadable
    try:
        if not unreadable:
            check_listener_files(listener_files(tls, folder))
    except UnusableError as error:
        yield document.fault(("tls",), str(error))


def _check_client(client: Client | None, folder: Path, secret: Secret | None) -> Iterator[tuple[Place, str]]:
    if client is not None and client.key is not None:
        from extauthz.signatures import read_private_key  # noqa: PLC0415 - as that module says

        try:
            read_private_key(folder / client.key.file, client.assertion.algorithm or "")
        except UnusableError as error:
            yield ("client", "key", "file"), str(error)
    if client is not None and client.method == "client_secret_jwt" and secret is not None:
        try:
            check_hmac_secret(secret.reveal())
        except UnusableError as error:
            yield ("client", "secret"), str(error)


def _check_tls(tls: ClientTls | None, folder: Path) -> Iterator[tuple[Place, str]]:
    if tls is not None:
        try:
            tls_context(tls_files(tls, folder))
        except UnusableError as error:
            yield ("tls",), str(error)


def _check_keys(file: object, folder: Path) -> Iterator[tuple[Place, str]]:
    if isinstance(file, str) and file:
        try:
            read_jwks_file(folder / file)
        except UnusableError as error:
            yield ("jwt", "jwks_file"), str(error)
