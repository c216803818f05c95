"""The generated modules are those that the .proto files give."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "src" / "extauthz" / "_gen"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_protos", ROOT / "protos" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def contents(folder: Path) -> dict[str, str]:
    files = [path for path in folder.iterdir() if path.suffix in {".py", ".pyi"} and path.name != "__init__.py"]
    return {path.name: path.read_text(encoding="utf-8") for path in files}


def test_generating_again_changes_nothing(generator: ModuleType, tmp_path: Path) -> None:
    """`make protos` was run after the last change of a .proto file, and nobody edited its output."""
    generator.generate(tmp_path)
    assert contents(tmp_path) == contents(GENERATED)


def test_every_proto_file_is_generated() -> None:
    """A module and its types for each."""
    names = {path.stem for path in (ROOT / "protos").glob("*.proto")}
    assert contents(GENERATED).keys() == {f"{name}_pb2{suffix}" for name in names for suffix in (".py", ".pyi")}
