"""`authserver.yaml` from the disk to values: the file, and what stands in the files and variables that it names."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from extauthz.config.authserver_schema import AuthServerFile
from extauthz.config.credentials import SecretSource
from extauthz.config.document import Document, Path as Place
from extauthz.config.faults import ConfigError, Fault
from extauthz.config.files import check_listener
from extauthz.config.load import read_document
from extauthz.config.own_secrets import read_source
from extauthz.config.store_address import StoreAddress
from extauthz.config.validate import validate
from extauthz.keyfiles import UnusableError, read_file

_MAX_PEM_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthServerConfig:
    """Everything that the file says, and the secrets that it points to; a secret is None where none is named.

    Attributes:
        folder: where the file is; paths in it are relative to that.
        store: with the path of a SQLite file as seen from the working directory.
        notified: who is told of revocations: each URL, and the token that it takes.
    """

    settings: AuthServerFile
    folder: Path
    store: StoreAddress
    store_password: str | None = field(default=None, repr=False)
    redis_password: str | None = field(default=None, repr=False)
    webhook_token: str | None = field(default=None, repr=False)
    notified: tuple[tuple[str, str], ...] = field(default=(), repr=False)


def load_authserver(path: Path, environ: Mapping[str, str]) -> AuthServerConfig:
    """Read the file and what it names.

    Raises:
        ConfigError: with all faults.
    """
    document = read_document(path)
    settings, faults = validate(AuthServerFile, document)
    if settings is None:
        raise ConfigError(faults)
    folder = path.parent
    found = [*_unreadable_files(document, folder, settings), *check_listener(document, settings.tls, folder)]

    def secret(*place: str, source: SecretSource | None) -> str | None:
        try:
            return None if source is None else read_source(source, folder, environ)
        except UnusableError as error:
            found.append(document.fault(place, str(error), excerpt=False))
            return None

    notify = settings.notify
    notify_token = secret("notify", "token", source=None if notify is None else notify.token)
    config = AuthServerConfig(
        settings=settings,
        folder=folder,
        store=_seen_from_here(settings.store, folder),
        store_password=secret("store_password", source=settings.store_password),
        redis_password=secret("limits", "redis_password", source=settings.limits.redis_password),
        webhook_token=secret("anomalies", "webhook_token", source=settings.anomalies.webhook_token),
        notified=() if notify is None else tuple((url, notify_token or "") for url in notify.urls),
    )
    if found:
        raise ConfigError(found)
    return config


def _seen_from_here(store: StoreAddress, folder: Path) -> StoreAddress:
    return replace(store, path=str(folder / store.path)) if store.path else store


def _unreadable_files(document: Document, folder: Path, settings: AuthServerFile) -> Iterator[Fault]:
    named: dict[Place, str | None] = {("signing_keys", index): key for index, key in enumerate(settings.signing_keys)}
    named["limits", "redis_ca"] = settings.limits.redis_ca
    for place, file in named.items():
        try:
            if file is not None:
                read_file(folder / file, _MAX_PEM_BYTES)
        except UnusableError as error:
            yield document.fault(place, str(error), value=file or "")
