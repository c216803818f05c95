"""The files of one reading: which they were, how each was then, and a digest of what the policy said."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from extauthz.config.yaml_source import MAX_FILE_BYTES
from extauthz.keyfiles import Stamp, read_file, stamp


class Sources:
    """Reads files and remembers them, also those that could not be read: a change of any is a reason to read again."""

    def __init__(self) -> None:
        self._seen: dict[Path, Stamp] = {}
        self._policy = hashlib.sha256()

    @property
    def seen(self) -> Mapping[Path, Stamp]:
        """Each file, and how it was right before it was read."""
        return MappingProxyType(self._seen)

    @property
    def digest(self) -> str:
        """SHA-256 of the policy's files in the order in which they were read, each after its length; in hexadecimal."""
        return self._policy.hexdigest()

    def read(self, path: Path) -> bytes:
        """The content of a file.

        Raises:
            UnusableError: when it cannot be read.
        """
        self._seen[path] = stamp(path)  # before reading: a change in between is then seen later
        return read_file(path, MAX_FILE_BYTES)

    def read_policy(self, path: Path) -> bytes:
        """The same of a file that belongs to the policy.

        Raises:
            UnusableError: when it cannot be read.
        """
        content = self.read(path)
        self._policy.update(len(content).to_bytes(8, "big"))
        self._policy.update(content)
        return content

    def look_at(self, folder: Path) -> None:
        """Remember a folder in which a new file would belong to the policy."""
        self._seen[folder] = stamp(folder)
