"""`carillon accounts …` as an operator runs it."""

import asyncio
import os
import sys

import pytest

from chassis import ids
from deploy.local import databases
from tests.service.gateway.conftest import Gateway


@pytest.fixture
def urls(gateway_urls: databases.Urls) -> databases.Urls:
    return gateway_urls


async def carillon(urls: databases.Urls, *arguments: str, group: str = "accounts", ok: bool = True) -> list[str]:
    """The lines that it printed; on standard error where it is to fail."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli", group, *arguments,
        env=os.environ | {"CARILLON_DATABASE_URL": urls.work, "COLUMNS": "300"},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert (process.returncode == 0) is ok, (out, err)
    return (out if ok else err).decode().splitlines()


def field(lines: list[str], name: str) -> str:
    return next(line.removeprefix(name).strip() for line in lines if line.startswith(name))


async def status(gateway: Gateway, key: str, path: str = "/v1/contacts") -> int:
    return (await gateway.call("GET", path, key=key)).status


async def test_an_account_is_made_and_its_keys_come_and_go(gateway: Gateway, urls: databases.Urls) -> None:
    made = await carillon(urls, "create", "Acme Ltd", "--rate-limit", "9")
    account, key = field(made, "account"), made[-1]
    answer = await gateway.call("GET", "/v1/api-keys", key=key)
    assert (answer.status, answer.body["data"][0]["rate_limit_per_second"]) == (200, 9)
    assert any(account in line and line.endswith("Acme Ltd") for line in await carillon(urls, "list"))
    more = await carillon(urls, "create-key", account, "reports", "--scopes", "contacts:read", "--mode", "test")
    assert more[-1].startswith("ck_test_")
    assert (await status(gateway, more[-1]), await status(gateway, more[-1], "/v1/segments")) == (200, 403)
    listed = await carillon(urls, "keys", account)
    assert [line.rpartition("  ")[2] for line in listed] == ["reports", "first key"]
    assert not any(key in line or more[-1] in line for line in listed)
    key_id = field(more, "key id")
    await carillon(urls, "revoke-key", account, key_id)
    assert await status(gateway, more[-1]) == 401
    changes = (await gateway.call("GET", f"/v1/api-keys/{key_id}/audit", key=key)).body["changes"]
    assert [(one["action"], one["actor"]) for one in changes] == [("revoked", "operator"), ("created", "operator")]

    other = (await carillon(urls, "create", "Bold Ltd"))[-1]
    erased = await carillon(urls, "erase-account", account, group="gateway")
    # What was counted of its keys meanwhile goes nowhere.
    await gateway.parts.key_uses.flush()
    assert erased[0] == "api_keys: 2 rows"
    assert erased[-1].startswith("done: ")
    assert (await status(gateway, key), await status(gateway, other)) == (401, 200)
    assert await carillon(urls, "erase-account", account, group="gateway") == [f"done: 0 rows of {account}"]
    assert "no account's id" in "".join(await carillon(urls, "erase-account", "Acme Ltd", group="gateway", ok=False))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["create", ""], "1 to 200 characters"),
        (["create", "x", "--scopes", "contacts:all"], "contacts:all"),
        (["create-key", "acct_x", "k"], "acct_x"),
        (["create-key", ids.encode("acct", ids.new()), "k"], "there is no account"),
        (["create-key", ids.encode("acct", ids.new()), "k", "--mode", "demo"], "demo"),
        (["revoke-key", ids.encode("acct", ids.new()), ids.encode("key", ids.new())], "has no key"),
    ],
    ids=["no name", "unknown scope", "no account id", "no account", "unknown mode", "no key"],
)
async def test_what_cannot_be_done_is_said(urls: databases.Urls, arguments: list[str], says: str) -> None:
    assert says in " ".join(await carillon(urls, *arguments, ok=False))
