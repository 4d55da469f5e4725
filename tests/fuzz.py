"""`python -m tests.fuzz [ARGUMENTS OF st run]`: schemathesis over the committed OpenAPI, against a stack of its own.

All checks, stateful included, with no bound but its own (`make fuzz`); `tests/e2e/test_fuzz.py` runs it bounded.
"""

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from services.gateway.domain.keys import ALL_SCOPES
from tests import throwaway_stack

ROOT = Path(__file__).resolve().parents[1]
CONFIG = ROOT / "tests" / "schemathesis.toml"
# Fuzzing is one key that calls as fast as it can.
ENVIRON = {"CARILLON_RATE_LIMIT_PER_SECOND": "100000"}
SENDER = {
    "name": "Fuzzed", "channel": "sms", "address": "CARILLON", "provider": "http",
    "settings": {"url": "http://127.0.0.1:9/messages"},
}  # fmt: skip


def run(url: str, key: str, others: str, *more: str, capture: bool = False) -> "subprocess.CompletedProcess[str]":
    """key: of an administrator, who makes a key for the run. others: of another account, to whose sender providers'
    posts go, for the run would delete one of its own. capture: what it prints is in what is returned."""
    own = make(f"{url}/v1/api-keys", key, {"name": "fuzz", "scopes": ALL_SCOPES})
    receipts = make(f"{url}/v1/senders", others, SENDER)["receipts_url"]
    _, _, sender, token, _ = urlsplit(receipts).path.split("/")
    command = [
        str(Path(sys.executable).parent / "st"), "--config-file", str(CONFIG), "run", str(ROOT / "openapi.json"),
        "--url", url, "--no-color", *more,
    ]  # fmt: skip
    # Read by schemathesis.toml and schemathesis_hooks.py.
    given = {"FUZZ_KEY": own["key"], "FUZZ_KEY_ID": own["id"], "FUZZ_SENDER": sender, "FUZZ_TOKEN": token}
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **given}, capture_output=capture, text=True, check=False
    )


def make(url: str, key: str, body: dict[str, Any]) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)) as answer:
        made: dict[str, str] = json.load(answer)
    return made


def main() -> int:
    with throwaway_stack.started("fuzz", environ=ENVIRON) as stack:
        return run(stack.url, stack.create_account("fuzz"), stack.create_account("others"), *sys.argv[1:]).returncode


if __name__ == "__main__":
    raise SystemExit(main())
