"""`python -m tests.fuzz [ARGUMENTS OF st run]`: schemathesis over the committed OpenAPI, against a stack of its own.

All checks, stateful included, with no bound but its own (`make fuzz`); `tests/e2e/test_fuzz.py` runs it bounded.
"""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from services.gateway.domain.keys import ALL_SCOPES
from tests import throwaway_stack

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "tests" / "schemathesis.toml"
# Fuzzing is one key that calls as fast as it can.
ENVIRON = {"CARILLON_RATE_LIMIT_PER_SECOND": "100000"}


def run(url: str, key: str, *more: str, capture: bool = False) -> "subprocess.CompletedProcess[str]":
    """key: of an administrator, who makes a key for the run. capture: what it prints is in what is returned."""
    own = make_key(url, key)
    command = [
        str(Path(sys.executable).parent / "st"), "--config-file", str(CONFIG), "run", str(ROOT / "openapi.json"),
        "--url", url, "--no-color", *more,
    ]  # fmt: skip
    # Read by schemathesis.toml and schemathesis_hooks.py.
    env = {**os.environ, "FUZZ_KEY": own["key"], "FUZZ_KEY_ID": own["id"]}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=capture, text=True, check=False)


def make_key(url: str, key: str) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    body = json.dumps({"name": "fuzz", "scopes": ALL_SCOPES}).encode()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/api-keys", body, headers)) as answer:
        made: dict[str, str] = json.load(answer)
    return made


def main() -> int:
    with throwaway_stack.started("fuzz", environ=ENVIRON) as stack:
        return run(stack.url, stack.create_account("fuzz"), *sys.argv[1:]).returncode


if __name__ == "__main__":
    raise SystemExit(main())
