"""Every `work` process as it is started, before anything that it needs is there."""

import asyncio
import json
import os
import sys
from pathlib import Path

import aiohttp
import pytest
from cryptography.fernet import Fernet

from deploy.local import databases
from tests.service.stack import Keys, eventually, free_port


def environment(service: str, keys: Keys, *, ops: str) -> dict[str, str]:
    nowhere = "127.0.0.1:1"
    settings = {
        "DATABASE_URL": f"postgresql://x:y@{nowhere}/none",
        "NATS_URL": f"nats://x:y@{nowhere}",
        "OPS_BIND": ops,
        "TOKEN_PRIVATE_KEY": keys.private[service],
        "TOKEN_PUBLIC_KEYS": json.dumps(keys.public),
        "ERASURE_KEY": keys.private[service],
        "SECRETS_KEYS": Fernet.generate_key().decode(),
        "PUBLIC_URL": "http://127.0.0.1",
        **{f"{name.upper()}_TARGET": nowhere for name in databases.SERVICES},
    }
    return os.environ | {f"CARILLON_{name}": value for name, value in settings.items()}


@pytest.mark.parametrize("service", databases.SERVICES)
async def test_a_worker_is_alive_and_says_what_is_missing(service: str, keys: Keys, tmp_path: Path) -> None:
    ops = f"127.0.0.1:{free_port()}"
    with (tmp_path / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "services.cli", service, "work",
            env=environment(service, keys, ops=ops), stdout=log, stderr=log,
        )  # fmt: skip

    async def alive() -> bool:
        try:
            async with http.get(f"http://{ops}/healthz") as answer:
                return answer.status == 200
        except aiohttp.ClientConnectionError:
            return False

    try:
        async with aiohttp.ClientSession() as http:
            await eventually(alive, seconds=60)
            async with http.get(f"http://{ops}/readyz") as answer:
                assert answer.status == 503
                problems = (await answer.json())["problems"]
        assert problems.keys() == {"process", "nats", "database" if service == "gateway" else "schema"}
        process.terminate()
        async with asyncio.timeout(30):
            assert await process.wait() == 0, (tmp_path / "log").read_text()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
