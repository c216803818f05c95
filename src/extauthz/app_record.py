"""Who records: metrics, the log for the operator, and the audit log with what it is written to."""

import errno
import os
import select
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from extauthz.config.recording import Audit
from extauthz.observe.audit import AuditLog, Stream
from extauthz.observe.audit_file import AuditFile, Rotation
from extauthz.observe.events import Happened, Observers
from extauthz.observe.logs import TroubleLog
from extauthz.observe.metrics import Metrics

_FILE_WRITE_BYTES = 64 * 1024
"""Appended to a file in one write, which Linux does not tear; each write makes the other threads wait in turn."""

_ADVICE = {
    errno.ENOENT: "make its folder first",
    errno.EACCES: "this user may not write there: give it the folder, or write another path",
    errno.EISDIR: "write the path of a file",
    errno.EROFS: "write a path in a folder that can be written",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """The recorders of one worker.

    Attributes:
        observer: tells all of them, some decisions at once.
        metrics: what was counted.
        audit: the record, unless it is off.
        recordable: whether a decision can be recorded, where that is asked before each.
    """

    observer: Observers
    metrics: Metrics
    audit: AuditLog | None
    recordable: Callable[[], bool] | None


def recording(settings: Audit) -> Recording:
    """Make them; the audit log is opened.

    Raises:
        OSError: when it cannot be; the message says what to do.
    """
    metrics, trouble = Metrics(), TroubleLog(time.monotonic)
    if settings.path == "off":
        return Recording(observer=Observers(metrics, trouble), metrics=metrics, audit=None, recordable=None)
    audit = _audit_log(settings, metrics, Observers(metrics, trouble).happened)
    return Recording(
        observer=Observers(metrics, trouble, audit),
        metrics=metrics,
        audit=audit,
        recordable=(lambda: audit.able) if settings.on_loss == "deny" else None,
    )


def check_audit_file(settings: Audit) -> None:
    """See that the file of the record can be opened. Pipes are left alone: who reads one would see it end.

    Raises:
        OSError: when it cannot be; the message says what to do.
    """
    if "/" in settings.path and not _is_special(Path(settings.path)):
        _open_file(settings).close()


def _audit_log(settings: Audit, metrics: Metrics, on_trouble: Callable[[Happened], None]) -> AuditLog:
    stream, write_bytes = _audit_stream(settings)
    return AuditLog(
        stream,
        on_loss=metrics.audit_lost,
        on_trouble=on_trouble,
        sample_allows=settings.sample_allows,
        write_bytes=write_bytes,
    )


def _audit_stream(settings: Audit) -> tuple[Stream, int]:
    """A stream of the audit log's own, also where it shares the descriptor of standard output or error; and how much it takes at once."""
    if settings.path in ("stdout", "stderr"):
        shared = {"stdout": 1, "stderr": 2}[settings.path]
        regular = stat.S_ISREG(os.fstat(shared).st_mode)
        stream = open(shared, "ab", buffering=0, closefd=False)  # noqa: SIM115 - open as long as the process
        return stream, _FILE_WRITE_BYTES if regular else select.PIPE_BUF
    path = Path(settings.path)
    if _is_special(path):
        return path.open("ab", buffering=0), select.PIPE_BUF
    return _open_file(settings), _FILE_WRITE_BYTES


def _is_special(path: Path) -> bool:
    """A pipe or a device."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _open_file(settings: Audit) -> AuditFile:
    rotate = settings.rotate
    rotation = None if rotate is None else Rotation(max_bytes=rotate.size, keep=rotate.keep)
    try:
        return AuditFile(Path(settings.path), rotation)
    except OSError as error:
        advice = _ADVICE.get(error.errno or 0, "see audit.path")
        raise OSError(f"cannot write to {settings.path}, the path of audit: {error.strerror}: {advice}") from error
