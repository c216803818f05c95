"""A file that changes under a running process: the new value at once, the old one as long as the new one is broken."""

import os
from pathlib import Path

import pytest

from extauthz.keyfiles import UnusableError, read_secret
from extauthz.observe.events import Happening
from extauthz.resolver.watched_file import LOOK_SECONDS, Fixed, Watched
from extauthz.testing import RecordingObserver, TickingClock

pytestmark = pytest.mark.shows("S64")


class Bench:
    """A watched secret and everything around it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = TickingClock()
        self.observer = RecordingObserver()
        path.write_text("old\n")
        self.reads = 0
        self.watched = Watched("main", (path,), self.read, observer=self.observer, monotonic=self.clock)

    def read(self) -> str:
        self.reads += 1
        return read_secret(self.path)

    def replace(self, text: str) -> None:
        """Write anew, as editors and secret managers do: another file under the same name."""
        new = self.path.with_suffix(".new")
        new.write_text(text)
        new.replace(self.path)

    @property
    def told(self) -> list[Happening]:
        return [event.what for event in self.observer.happenings]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "secret")


def test_a_new_secret_is_used_a_second_later(bench: Bench) -> None:
    """And the operator is told, without the secret."""
    bench.replace("new\n")
    bench.clock.advance(LOOK_SECONDS)
    assert bench.watched() == "new"
    (event,) = bench.observer.happenings
    assert (event.what, event.subject, event.detail) == (Happening.SECRET_RELOADED, "main", "")


def test_the_file_is_not_looked_at_for_every_request(bench: Bench) -> None:
    """Within a second the value is as it was; a file that does not change is read once."""
    bench.replace("new\n")
    bench.clock.advance(LOOK_SECONDS * 0.9)
    assert bench.watched() == "old"
    bench.clock.advance(LOOK_SECONDS * 0.1)
    for _ in range(5):
        bench.clock.advance(LOOK_SECONDS)
        assert bench.watched() == "new"
    assert bench.reads == 2


def test_it_can_be_looked_at_at_once(bench: Bench) -> None:
    """When the server has refused the old secret."""
    assert not bench.watched.look()
    bench.replace("new\n")
    assert bench.watched.look()
    assert bench.watched() == "new"
    assert not bench.watched.look()


def test_a_file_written_in_place_has_changed_too(bench: Bench) -> None:
    """Its size or its time has."""
    bench.path.write_text("newer\n")
    assert bench.watched.look()
    assert bench.watched() == "newer"


def test_the_swapped_folder_of_kubernetes_is_a_change(tmp_path: Path) -> None:
    """There the name stays a link through `..data`, and `..data` is pointed elsewhere."""
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "secret").write_text(version)
        os.utime(tmp_path / version / "secret", (0, 0))
    (tmp_path / "..data").symlink_to("1")
    (tmp_path / "secret").symlink_to("..data/secret")
    path = tmp_path / "secret"
    watched = Watched(
        "main", (path,), lambda: read_secret(path), observer=RecordingObserver(), monotonic=TickingClock()
    )
    (tmp_path / "..new").symlink_to("2")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert watched.look()
    assert watched() == "2"


@pytest.mark.parametrize("content", ["", "\n", "two\nlines\n", None], ids=["empty", "blank", "two lines", "gone"])
def test_a_broken_file_leaves_the_old_secret_and_is_told_once(bench: Bench, content: str | None) -> None:
    """It is told again only when it changes again; a good one is then taken."""
    if content is None:
        bench.path.unlink()
    else:
        bench.replace(content)
    for _ in range(5):
        bench.clock.advance(LOOK_SECONDS)
        assert bench.watched() == "old"
    assert bench.told == [Happening.SECRET_UNREADABLE]
    assert bench.observer.happenings[0].detail.startswith(f"{bench.path}: ")
    bench.replace("new")
    bench.clock.advance(LOOK_SECONDS)
    assert bench.watched() == "new"
    assert bench.told == [Happening.SECRET_UNREADABLE, Happening.SECRET_RELOADED]


def test_other_rights_are_a_change(bench: Bench) -> None:
    """A file that may be read at last is read without being written anew."""
    bench.watched.look()
    bench.path.chmod(0o600)
    bench.clock.advance(LOOK_SECONDS)
    bench.watched()
    assert bench.reads == 2


def test_several_files_are_one_value(tmp_path: Path) -> None:
    """A certificate and its key are read together when either has changed."""
    paths = tmp_path / "a", tmp_path / "b"
    for path in paths:
        path.write_text("1")
    watched = Watched(
        "main",
        paths,
        lambda: "".join(path.read_text() for path in paths),
        observer=RecordingObserver(),
        monotonic=TickingClock(),
    )
    paths[1].write_text("22")
    assert watched.look()
    assert watched() == "122"


def test_without_a_value_to_begin_with_there_is_none(tmp_path: Path) -> None:
    """The start fails; nobody works with nothing."""
    with pytest.raises(UnusableError, match="does not exist"):
        Watched("main", (), lambda: read_secret(tmp_path / "none"), observer=RecordingObserver(), monotonic=float)


def test_what_is_fixed_never_changes() -> None:
    """A secret from the environment."""
    fixed = Fixed("s")
    assert (fixed(), fixed.look()) == ("s", False)
