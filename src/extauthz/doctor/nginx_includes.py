"""The files that an nginx.conf includes: from the disk, or out of what `nginx -T` prints."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from extauthz.doctor.nginx_syntax import Includes

_MARK = re.compile(r"^# configuration file (?P<name>.+):\n", re.MULTILINE)
_WILDCARDS = re.compile(r"[*?\[]")


def beside(folder: Path) -> Includes:
    """Reads as NGINX does: paths are relative to the folder of the main file, and may have wildcards."""

    def read(pattern: str) -> Sequence[tuple[str, str]]:
        if _WILDCARDS.search(pattern):
            root = Path("/") if pattern.startswith("/") else folder
            paths = sorted(path for path in root.glob(pattern.lstrip("/")) if path.is_file())
        else:
            paths = [folder / pattern]
        return [(str(path), path.read_text(encoding="utf-8", errors="replace")) for path in paths]

    return read


def split_dump(text: str) -> tuple[str, str, Includes] | None:
    """Text and name of the main file in what `nginx -T` prints, and the files that it includes; None for other text."""
    marks = list(_MARK.finditer(text))
    if not marks or text[: marks[0].start()].strip():
        return None
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    files = {mark["name"]: text[mark.end() : end] for mark, end in zip(marks, ends, strict=True)}
    main = marks[0]["name"]

    def read(pattern: str) -> Sequence[tuple[str, str]]:
        full = str(PurePosixPath(main).parent / pattern)
        found = [(name, content) for name, content in files.items() if PurePosixPath(name).match(full)]
        if not found and not _WILDCARDS.search(pattern):
            raise FileNotFoundError(full)
        return sorted(found)

    return files[main], main, read
