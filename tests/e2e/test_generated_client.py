"""A Python client is generated from the committed OpenAPI, without a warning, and does the quickstart."""

import asyncio
import json
import os
import sys
from pathlib import Path

from tests.e2e.client import Api
from tests.throwaway_stack import ThrowawayStack

ROOT = Path(__file__).resolve().parents[2]
GENERATOR = Path(sys.executable).parent / "openapi-python-client"
# The name of the package, and no formatter run over a client that nobody reads.
CONFIG = "package_name_override: carillon_client\nproject_name_override: carillon-client\npost_hooks: []\n"


async def run(*command: str, **environ: str) -> str:
    """What it printed. Fails with all that it said where the command does."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=os.environ | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


async def test_a_generated_client_does_the_quickstart(
    stack: ThrowawayStack, api: Api, sender_id: str, tmp_path: Path
) -> None:
    config = tmp_path / "config.yml"
    config.write_text(CONFIG)
    target = tmp_path / "client"
    await run(
        str(GENERATOR), "generate", "--path", str(ROOT / "openapi.json"), "--output-path", str(target),
        "--config", str(config), "--fail-on-warning",
    )  # fmt: skip
    script = Path(__file__).with_name("quickstart.py")
    output = await run(sys.executable, str(script), api.url, api.key, sender_id, PYTHONPATH=str(target))
    stats = json.loads(output.splitlines()[-1])
    assert (stats["total"], stats["sent"], stats["failed"], stats["pending"]) == (2, 2, 0, 0)
