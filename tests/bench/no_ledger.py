"""The sending worker's program with no ledger: the same texts rendered, the same provider, as many calls at once.

`python -m tests.bench.no_ledger SENDER COUNT`, the sender as it is posted to /v1/senders; prints messages a second. A
process of its own, on the loop that the worker runs on, as the worker is.
"""

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import uvloop
from cryptography.fernet import Fernet

from chassis import collector, ids
from chassis.destinations import read_networks
from chassis.sealing import Sealer
from services.campaigns.app import COLLECTOR, Http
from services.campaigns.config import WorkSettings
from services.campaigns.domain.sending import Accepted, Answer, Throttled
from services.campaigns.providers.port import Outbound, Provider
from services.campaigns.providers.registry import Reach
from services.campaigns.work.chunk import BATCH
from services.campaigns.work.sending import Sending, Sendings

BODY = 'Hi {{ name | default: "there" }}, {{ code }} is your code.'
SUBJECT = "Your code, {{ name }}"
BATCHES = int(WorkSettings.model_fields["dispatch_batches"].default)


def template(channel: str) -> dict[str, str]:
    """What the messages say, as it is posted to /v1/templates."""
    made = {"name": "bench", "channel": channel, "body": BODY}
    return made | ({"subject": SUBJECT} if channel == "email" else {})


def address(channel: str, number: int) -> str:
    return f"ann{number}@example.com" if channel == "email" else f"+1555{number:07d}"


def context(sender: dict[str, Any], sealer: Sealer) -> dict[str, object]:
    """As repository.dispatch.context, of a campaign that is nowhere."""
    return {
        "account_id": ids.new(),
        "id": ids.new(),
        "sender_id": ids.new(),
        "sender_version": 1,
        "channel": sender["channel"],
        "address": sender["address"],
        "provider": sender["provider"],
        "settings": orjson.dumps(sender["settings"]).decode(),
        "secrets": sealer.seal("{}"),
        "receipts_secret": sealer.seal("secret"),
        "variables": "{}",
        "started_body": BODY,
        "started_subject": template(sender["channel"]).get("subject"),
        "started_html": None,
        "started_whatsapp": None,
        "is_test": False,
    }


def recipients(channel: str, count: int) -> Iterator[list[dict[str, object]]]:
    """Micro-batches of them, as the ledger has them."""
    for start in range(0, count, BATCH):
        yield [
            {
                "id": ids.new(),
                "address": address(channel, number),
                "variables": orjson.dumps({"name": f"Käthe {number}", "code": f"CODE{number}"}).decode(),
            }
            for number in range(start, min(start + BATCH, count))
        ]


async def send(sending: Sending, rows: list[dict[str, object]]) -> None:
    messages = [sending.message(row) for row in rows]
    while messages:
        answers = await call(sending.provider, messages)
        if not all(isinstance(answer, Accepted | Throttled) for answer in answers):
            raise RuntimeError("the provider did not take everything")
        turned_away = {at: answer for at, answer in enumerate(answers) if isinstance(answer, Throttled)}
        messages = [messages[at] for at in turned_away]
        await asyncio.sleep(max((answer.retry_after for answer in turned_away.values()), default=0))


async def call(provider: Provider, messages: Sequence[Outbound]) -> list[Answer]:
    size = provider.max_batch
    if size == 1:
        return list(await asyncio.gather(*map(provider.send, messages)))
    parts = [messages[at : at + size] for at in range(0, len(messages), size)]
    return [one for part in await asyncio.gather(*map(provider.send_many, parts)) for one in part]


async def measure(sender: dict[str, Any], count: int) -> float:
    allowed = read_networks("127.0.0.0/8")
    http, sealer = Http(allowed=allowed), Sealer(Fernet.generate_key().decode())
    sendings = Sendings(Reach(http.session, allowed, 10.0), sealer, public_url="http://127.0.0.1:9")
    sending = sendings.of(context(sender, sealer))  # type: ignore[arg-type]  # a row, for what is read of it
    batches = recipients(sender["channel"], count)
    collector.spare(COLLECTOR)

    async def work() -> None:
        for rows in batches:
            await send(sending, rows)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(BATCHES):
            group.create_task(work())
    seconds = time.perf_counter() - began
    await sendings.providers.stop()
    await http.stop()
    return count / seconds


def main() -> None:
    sender, count = sys.argv[1:]
    print(uvloop.run(measure(orjson.loads(sender), int(count))))


if __name__ == "__main__":
    main()
