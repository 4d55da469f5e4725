"""The README's walk-through, pasted into a shell as it stands."""

import asyncio
import json
import os
import re
import shlex
from pathlib import Path

from tests.e2e.client import Api
from tests.throwaway_stack import ThrowawayStack

README = Path(__file__).resolve().parents[2] / "README.md"
ENDED = {"sent", "delivered"}


def answers(output: str) -> list[dict[str, object]]:
    """The JSON objects that curl printed, which stand one after the other with nothing between them."""
    decoder, found, at = json.JSONDecoder(), [], output.find("{")
    while at >= 0:
        value, end = decoder.raw_decode(output, at)
        found.append(value)
        at = output.find("{", end)
    return found


async def test_the_walk_through_works_as_printed(
    stack: ThrowawayStack, api: Api, sender_id: str, tmp_path: Path
) -> None:
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    home = tmp_path / ".carillon"
    home.mkdir()
    # As `make up` writes it, with this test's account for the demo's.
    values = {"CARILLON_URL": stack.url, "CARILLON_API_KEY": api.key, "CARILLON_CARRIER_URL": stack.carrier_url}
    (home / "env").write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items()))
    (home / "carrier").symlink_to(stack.home.carrier)
    shell = await asyncio.create_subprocess_exec(
        "bash",
        "-euo",
        "pipefail",
        "-c",
        "".join(blocks),
        cwd=tmp_path,
        env={**os.environ, "no_proxy": "127.0.0.1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await shell.communicate()
    assert shell.returncode == 0, errors.decode()
    printed = answers(output.decode())
    assert not [answer for answer in printed if "type" in answer and "status" in answer and "code" in answer]
    (imported,) = [answer for answer in printed if "import_id" in answer]
    assert (imported["imported"], imported["failed"]) == (2, 1)
    looked_at, tried = [answer for answer in printed if "preview" in answer]
    assert (looked_at["status"], looked_at["rows_total"]) == ("uploaded", 3)
    assert (tried["id"], tried["dry_run"]) == (looked_at["id"], True)
    (campaign,) = [answer for answer in printed if "stats" in answer and answer["status"] != "draft"][-1:]
    await campaign_ends(api, str(campaign["id"]))


async def campaign_ends(api: Api, campaign_id: str) -> None:
    """Three premium contacts were made above, and each gets a text with a code."""
    async with asyncio.timeout(60):
        while True:
            page = (await api.get(f"/v1/campaigns/{campaign_id}/recipients?page=1&per_page=20")).ok()
            if page["total"] == 3 and all(row["status"] in ENDED for row in page["data"]):
                return
            await asyncio.sleep(0.1)
