"""New certificates of the gateway listener, in force as soon as they stand in their files."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

from extauthz.cli.listener import Listener
from extauthz.config.files import listener_files
from extauthz.config.load import ServiceConfig
from extauthz.keyfiles import TlsFiles, check_listener_files
from extauthz.observe.certificates import Certificates, Use
from extauthz.observe.events import Happened, Happening, Observer
from extauthz.resolver.watched_file import LOOK_SECONDS, Watched

SUBJECT: Final = "tls"


def files_of(config: ServiceConfig) -> TlsFiles | None:
    """Where they are; None for plain text."""
    tls = config.settings.tls
    return None if tls is None else listener_files(tls, config.folder)


def as_h2corn_has_it(files: TlsFiles | None) -> Mapping[str, Any]:
    """Options of a server; none for plain text."""
    if files is None:
        return {}
    options = {"certfile": files.certificate, "keyfile": files.key}
    return options if files.ca is None else {**options, "ca_certs": files.ca, "cert_reqs": "required"}


async def renew(listener: Listener, files: TlsFiles, observer: Observer, certificates: Certificates) -> None:
    """Look every second until cancelled. Files that cannot be used change nothing, and are told once."""
    certificates.taken(files.certificate, Use.LISTENER)
    watched = Watched(
        SUBJECT, files.paths, lambda: check_listener_files(files), observer=observer, monotonic=time.monotonic
    )
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if watched.look():
            try:
                await listener.replace()
            except Exception as error:  # noqa: BLE001 - whatever it is, the old certificates go on
                what = Happening.SECRET_UNREADABLE
                observer.happened(Happened(what=what, subject=SUBJECT, detail=type(error).__name__))
            else:
                certificates.taken(files.certificate, Use.LISTENER)
