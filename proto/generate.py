"""Generate libs/protos from proto/: `python proto/generate.py [--check]`.

--check writes nothing and exits 1 when the committed code differs from what proto/ generates.
"""

import filecmp
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

ROOT = Path(__file__).resolve().parent
COMMITTED = ROOT.parent / "libs" / "protos"


def generate(target: Path) -> None:
    sources = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("carillon/**/*.proto"))
    plugins = Path(sys.executable).parent
    subprocess.run(
        [
            sys.executable, "-m", "grpc_tools.protoc",
            f"-I{ROOT}", f"-I{files('grpc_tools') / '_proto'}",
            f"--plugin=protoc-gen-mypy={plugins / 'protoc-gen-mypy'}",
            f"--plugin=protoc-gen-mypy_grpc={plugins / 'protoc-gen-mypy_grpc'}",
            f"--python_out={target}", f"--grpc_python_out={target}",
            f"--mypy_out=quiet:{target}", f"--mypy_grpc_out=quiet,only_async:{target}",
            *sources,
        ],
        check=True,
    )  # fmt: skip
    write_reasons(target)
    # A file with no service yields an empty stub module; it would only be noise.
    for stub in target.glob("carillon/**/*_pb2_grpc.py*"):
        if "class " not in stub.read_text():
            stub.unlink()
    for folder in [target / "carillon", *(p for p in (target / "carillon").rglob("*") if p.is_dir())]:
        (folder / "__init__.py").touch()


def write_reasons(target: Path) -> None:
    """The reasons as a StrEnum of their public codes: protobuf's enum wrapper has neither strings nor types."""
    source = (ROOT / "carillon/errors/v1/errors.proto").read_text()
    names = [name for name in re.findall(r"^  REASON_(\w+) = \d+;", source, re.MULTILINE) if name != "UNSPECIFIED"]
    members = "".join(f'    {name} = "{name.lower()}"\n' for name in names)
    head = '"""Generated from errors.proto by proto/generate.py."""\n\nfrom enum import StrEnum\n\n\n'
    (target / "carillon/errors/v1/reasons.py").write_text(head + "class Reason(StrEnum):\n" + members)


def files_below(folder: Path) -> set[Path]:
    return {p.relative_to(folder) for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts}


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        fresh = Path(scratch)
        generate(fresh)
        if "--check" in sys.argv:
            names = files_below(fresh / "carillon") | files_below(COMMITTED / "carillon")
            _, differing, missing = filecmp.cmpfiles(
                fresh / "carillon", COMMITTED / "carillon", [str(n) for n in names], shallow=False
            )
            for name in differing + missing:
                print(f"libs/protos/carillon/{name} differs from what proto/ generates; run `make proto`")
            return 1 if differing or missing else 0
        shutil.rmtree(COMMITTED / "carillon", ignore_errors=True)
        shutil.copytree(fresh / "carillon", COMMITTED / "carillon")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
