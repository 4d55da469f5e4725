"""`python -m tests.fuzz [ARGUMENTS OF st run]`: schemathesis over the committed OpenAPI, against a stack of its own.

All checks, stateful included, with no bound but its own (`make fuzz`); `tests/e2e/test_fuzz.py` runs it bounded.
"""

import subprocess
import sys
from pathlib import Path

from tests import throwaway_stack

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "tests" / "schemathesis.toml"
# Fuzzing is one key that calls as fast as it can.
ENVIRON = {"CARILLON_RATE_LIMIT_PER_SECOND": "100000"}


def command(url: str, key: str, *more: str) -> list[str]:
    return [
        str(Path(sys.executable).parent / "st"), "--config-file", str(CONFIG), "run", str(ROOT / "openapi.json"),
        "--url", url, "--header", f"Authorization: Bearer {key}", "--no-color", *more,
    ]  # fmt: skip


def main() -> int:
    with throwaway_stack.started("fuzz", environ=ENVIRON) as stack:
        key = stack.create_account("fuzz")
        return subprocess.run(command(stack.url, key, *sys.argv[1:]), cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
