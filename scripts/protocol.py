"""Build the descriptor set of the package out of ``proto/``: ``make protocol``."""

import pathlib
import sys
from importlib import resources

from grpc_tools import protoc

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILT = ROOT / "swprof_mw" / "reporter" / "protocol.binpb"


def build(target: pathlib.Path) -> None:
    """Write the descriptor set of every file below ``proto/`` to ``target``.

    Raises:
        RuntimeError: the compiler refused a file; what it said stands on standard error.
    """
    sources = sorted((ROOT / "proto").rglob("*.proto"))
    included = str(resources.files("grpc_tools").joinpath("_proto"))
    arguments = ["protoc", f"-I{ROOT / 'proto'}", f"-I{included}", f"--descriptor_set_out={target}"]
    if protoc.main([*arguments, *map(str, sources)]) != 0:
        raise RuntimeError("protoc failed")


if __name__ == "__main__":
    build(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else BUILT)
