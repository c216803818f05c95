"""Compile protos/ into src/extauthz/_gen (`make protos`), or into the folder given as argument."""

import sys
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "src" / "extauthz" / "_gen"


def generate(target: Path) -> None:
    """Write the generated modules and their stubs."""
    sources = [str(path) for path in sorted(HERE.glob("*.proto"))]
    well_known = Path(grpc_tools.__file__).with_name("_proto")
    status = protoc.main(
        ["protoc", f"-I{HERE}", f"-I{well_known}", f"--python_out={target}", f"--pyi_out={target}", *sources]
    )
    if status != 0:
        raise SystemExit(f"protoc failed with status {status}")


if __name__ == "__main__":
    generate(Path(sys.argv[1]) if len(sys.argv) > 1 else TARGET)
