"""Notices that files have changed, however that was done: written anew, renamed over, or a link set to somewhere else.

Folders are watched and not files: an editor renames a new file over the old one, and Kubernetes swaps the link `..data`
beside the link that has the file's name. What counts is then the stamps of the files, so an audit log in the same folder
is no reason to read anything. They are also looked at every few seconds: some file systems tell nobody of a change.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

import structlog
from watchfiles import awatch
from watchfiles.main import FileChange

from extauthz.keyfiles import Stamp, stamp

LOOK_MILLISECONDS: Final = 5_000
"""How often files are looked at even though no change was told."""

LONGEST_SETTLE: Final = 10
"""Files that are never quiet are read after so many times `settle`."""

_MAX_LINKS: Final = 40
"""More links in a row than the system follows."""


async def changes(seen: Callable[[], Mapping[Path, Stamp]], settle: float) -> AsyncGenerator[None, None]:
    """Yield each time that the files differ from what was `seen` of them last, and nothing happened for `settle` seconds.

    Never ends by itself. Where the system has no more watches to give, that is told, and files are looked at now and then.
    """
    told = False
    while True:
        folders = watched_folders(seen())
        try:
            async with aclosing(_events(folders, settle)) as events:
                async for _ in events:
                    if differ(seen()):
                        yield
                    if watched_folders(seen()) != folders:
                        break
        except (OSError, RuntimeError) as error:  # the second is what the library makes of most of the first
            if not told:
                _tell(str(error))
            told = True
            await asyncio.sleep(LOOK_MILLISECONDS / 1000)
            if differ(seen()):
                yield


def _events(folders: Sequence[Path], settle: float) -> AsyncGenerator[set[FileChange], None]:
    """Something happened in one of these folders, or nothing did for some time."""
    milliseconds = round(settle * 1000)
    return awatch(
        *folders,
        recursive=False,
        watch_filter=None,
        step=milliseconds,
        debounce=milliseconds * LONGEST_SETTLE,
        rust_timeout=LOOK_MILLISECONDS,
        yield_on_timeout=True,
    )


def _tell(error: str) -> None:
    structlog.get_logger("extauthz").warning(
        "files cannot be watched and are looked at now and then",
        detail=error,
        advice="raise fs.inotify.max_user_instances; SIGHUP and POST /reload work as ever",
    )


def differ(seen: Mapping[Path, Stamp]) -> bool:
    """Whether a file is not as it was."""
    return any(stamp(path) != before for path, before in seen.items())


def watched_folders(files: Iterable[Path]) -> tuple[Path, ...]:
    """Where a change of one of these can show: their folders, and those of every link on the way to them."""
    found = {folder for file in files for folder in _folders_on_the_way(Path(os.path.abspath(file)))}  # noqa: PTH100 - links stay
    return tuple(sorted(folder for folder in found if folder.is_dir()))


def _folders_on_the_way(file: Path) -> Iterable[Path]:
    if file.is_dir():
        yield file
    yield file.parent
    for _ in range(_MAX_LINKS):
        link = next((part for part in (*reversed(file.parents), file) if part.is_symlink()), None)
        if link is None:
            return
        yield link.parent
        file = Path(os.path.normpath(link.parent / link.readlink() / file.relative_to(link)))
        yield file.parent
