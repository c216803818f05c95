"""What files say now: secrets, keys and certificates that are changed under a running process.

Rotation must need no restart, and a broken new file must not stop what works: then the old value stays, and the
operator is told once for each change.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from extauthz.keyfiles import Stamp, UnusableError, stamp
from extauthz.observe.events import Happened, Happening, Observer

LOOK_SECONDS = 1.0
"""Files are looked at no more often than this."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Current(Protocol[T_co]):
    """A value that may change while we run."""

    def __call__(self) -> T_co:
        """The value now."""

    def look(self) -> bool:
        """Look at once, whether or not it is time; True if the value is a new one."""


class Fixed(Generic[T]):
    """A value that never changes, such as one from the environment."""

    def __init__(self, value: T) -> None:
        self._value = value

    def __call__(self) -> T:
        """Always the same."""
        return self._value

    def look(self) -> bool:
        """Nothing new."""
        return False


class Watched(Generic[T]):
    """A value out of files, read again when one of them has changed.

    A file has changed when its stamp has (`keyfiles.stamp`).

    Args:
        subject: what the operator calls it.
        paths: the files.
        read: the value from what they say now; raises `UnusableError`.

    Raises:
        UnusableError: when there is no value to begin with.
    """

    def __init__(
        self,
        subject: str,
        paths: tuple[Path, ...],
        read: Callable[[], T],
        *,
        observer: Observer,
        monotonic: Callable[[], float],
    ) -> None:
        self._subject = subject
        self._paths = paths
        self._read = read
        self._observer = observer
        self._monotonic = monotonic
        self._looked_at = monotonic()
        self._seen = self._stamps()  # before reading: a change in between is then seen at the next look
        self._value = read()

    def __call__(self) -> T:
        """The value of a second ago or later."""
        if self._monotonic() - self._looked_at >= LOOK_SECONDS:
            self.look()
        return self._value

    def look(self) -> bool:
        """Look at the files; True if they gave a new value."""
        self._looked_at = self._monotonic()
        seen = self._stamps()
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            self._value = self._read()
        except UnusableError as error:
            self._tell(Happening.SECRET_UNREADABLE, f"{', '.join(map(str, self._paths))}: {error}")
            return False
        self._tell(Happening.SECRET_RELOADED, "")
        return True

    def _stamps(self) -> tuple[Stamp, ...]:
        return tuple(stamp(path) for path in self._paths)

    def _tell(self, what: Happening, detail: str) -> None:
        self._observer.happened(Happened(what=what, subject=self._subject, detail=detail))
