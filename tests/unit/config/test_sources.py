"""Which files were read, and whether they have changed since."""

import os
from pathlib import Path

import pytest

from extauthz.config.sources import Sources
from extauthz.keyfiles import UnusableError, stamp


def test_each_file_is_remembered_as_it_was(tmp_path: Path) -> None:
    """Also one that cannot be read: that it appears is a change."""
    there, missing = tmp_path / "there", tmp_path / "missing"
    there.write_text("a")
    sources = Sources()
    assert sources.read(there) == b"a"
    with pytest.raises(UnusableError):
        sources.read_policy(missing)
    assert dict(sources.seen) == {there: stamp(there), missing: None}


def test_the_digest_is_that_of_the_policy_alone(tmp_path: Path) -> None:
    """Where one file ends and the next begins counts; the service's own file does not."""

    def digest(*contents: str, service: str = "") -> str:
        sources = Sources()
        (tmp_path / "service").write_text(service)
        sources.read(tmp_path / "service")
        for number, content in enumerate(contents):
            (tmp_path / str(number)).write_text(content)
            sources.read_policy(tmp_path / str(number))
        return sources.digest

    assert digest("a", service="one") == digest("a", service="other")
    assert len({digest("a"), digest("b"), digest("ab"), digest("a", "b"), digest("", "ab")}) == 5


def test_a_folder_changes_when_a_file_appears_in_it(tmp_path: Path) -> None:
    """In which a new file would belong to the policy."""
    sources = Sources()
    sources.look_at(tmp_path)
    before = sources.seen[tmp_path]
    (tmp_path / "new").write_text("")
    os.utime(tmp_path, ns=(1, 1))  # however coarse the clock of the file system is
    assert stamp(tmp_path) != before
