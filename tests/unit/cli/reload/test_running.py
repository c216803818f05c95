"""Where a worker that is alone keeps what it compiles."""

import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from extauthz.cli.reload import running


def test_a_read_only_file_system_is_no_hindrance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory does as well; nobody else may enter the folder, wherever it is."""

    def no_place() -> Sequence[str]:
        raise FileNotFoundError("no usable temporary directory")

    monkeypatch.setattr(tempfile, "gettempdir", no_place)
    monkeypatch.setattr(running, "MEMORY", tmp_path)
    with running._private_folder() as folder:  # noqa: SLF001 - what is around it needs a whole service
        assert Path(folder).parent == tmp_path
        assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
