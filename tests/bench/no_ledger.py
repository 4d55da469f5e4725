"""The sending worker's program with no ledger: the same texts rendered, the same provider, as many calls at once.

`python -m tests.bench.no_ledger URL COUNT`, with a JSON object of more settings of the sender behind; prints
messages a second. A process of its own, on the loop that the worker runs on, as the worker is.
"""

import asyncio
import sys
import time
from collections.abc import Iterator

import orjson
import uvloop
from cryptography.fernet import Fernet

from chassis import collector, ids
from chassis.sealing import Sealer
from services.campaigns.app import COLLECTOR, Http
from services.campaigns.config import WorkSettings
from services.campaigns.domain.sending import Accepted
from services.campaigns.work.chunk import BATCH
from services.campaigns.work.sending import Sending, Sendings

BODY = 'Hi {{ name | default: "there" }}, {{ code }} is your code.'
BATCHES = int(WorkSettings.model_fields["dispatch_batches"].default)


def context(url: str, sealer: Sealer, more: dict[str, object]) -> dict[str, object]:
    """As repository.dispatch.context, of a campaign that is nowhere."""
    return {
        "account_id": ids.new(),
        "id": ids.new(),
        "sender_id": ids.new(),
        "sender_version": 1,
        "channel": "sms",
        "address": "CARILLON",
        "provider": "http",
        "settings": orjson.dumps({"url": url} | more).decode(),
        "secrets": sealer.seal("{}"),
        "receipts_secret": sealer.seal("secret"),
        "variables": "{}",
        "started_body": BODY,
        "started_subject": None,
        "started_html": None,
        "started_whatsapp": None,
        "is_test": False,
    }


def recipients(count: int) -> Iterator[list[dict[str, object]]]:
    """Micro-batches of them, as the ledger has them."""
    for start in range(0, count, BATCH):
        yield [
            {
                "id": ids.new(),
                "address": f"+1555{number:07d}",
                "variables": orjson.dumps({"name": f"Käthe {number}", "code": f"CODE{number}"}).decode(),
            }
            for number in range(start, min(start + BATCH, count))
        ]


async def send(sending: Sending, rows: list[dict[str, object]]) -> None:
    messages = [sending.message(row) for row in rows]
    size = sending.provider.max_batch
    if size > 1:
        parts = [messages[at : at + size] for at in range(0, len(messages), size)]
        answers = [one for part in await asyncio.gather(*map(sending.provider.send_many, parts)) for one in part]
    else:
        answers = list(await asyncio.gather(*map(sending.provider.send, messages)))
    if not all(isinstance(answer, Accepted) for answer in answers):
        raise RuntimeError("the carrier did not take everything")


async def measure(url: str, count: int, more: dict[str, object]) -> float:
    http, sealer = Http(), Sealer(Fernet.generate_key().decode())
    sendings = Sendings(http.session, sealer, public_url="http://127.0.0.1:9", timeout=10.0)
    sending = sendings.of(context(url, sealer, more))  # type: ignore[arg-type]  # a row, for what is read of it
    batches = recipients(count)
    collector.spare(COLLECTOR)

    async def work() -> None:
        for rows in batches:
            await send(sending, rows)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(BATCHES):
            group.create_task(work())
    seconds = time.perf_counter() - began
    await http.stop()
    return count / seconds


def main() -> None:
    url, count, *more = sys.argv[1:]
    print(uvloop.run(measure(url, int(count), orjson.loads(more[0]) if more else {})))


if __name__ == "__main__":
    main()
