"""Reading what the files of the embedded authorization server name, as `load` reads it for the service."""

from collections.abc import Mapping
from pathlib import Path

from extauthz.config.document import Document
from extauthz.config.load import (
    _read as read_file,
    _read_document as read_document,
    _read_secret,
    _UnusableError as UnusableError,
)
from extauthz.config.schema import SecretSource

__all__ = ["Document", "UnusableError", "read_document", "read_file", "read_source"]


def read_source(source: SecretSource, folder: Path, environ: Mapping[str, str]) -> str:
    """The secret itself.

    Raises:
        UnusableError: when there is none.
    """
    return _read_secret(source, folder, environ).reveal()
