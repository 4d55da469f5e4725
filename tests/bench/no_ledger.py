"""The sending worker's program with no ledger: contacts asked whom it may write to, the same texts rendered, the same
provider, as many micro-batches at once.

`python -m tests.bench.no_ledger SENDER COUNT CHECKED`, in the environment of the worker; the sender as it is posted to
/v1/senders. CHECKED `no`: it asks nobody, and is less than the same program. Prints messages a second. A process of its
own, on the loop that the worker runs on, as the worker is.
"""

import asyncio
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import uvloop

from carillon.contacts.v1.contacts_pb2_grpc import ContactsServiceStub
from chassis import collector, ids
from chassis.grpc_client import Client
from chassis.sealing import Sealer
from chassis.tokens import TokenSigner
from services.campaigns.app import COLLECTOR, SERVICE, Http
from services.campaigns.config import WorkSettings
from services.campaigns.domain.sending import Accepted, Answer, Throttled
from services.campaigns.peers import Contacts
from services.campaigns.providers.port import Outbound, Provider
from services.campaigns.providers.registry import Reach
from services.campaigns.work.chunk import batch_size
from services.campaigns.work.sending import Sending, Sendings

BODY = 'Hi {{ name | default: "there" }}, {{ code }} is your code.'
SUBJECT = "Your code, {{ name }}"


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


def recipients(channel: str, count: int, size: int) -> Iterator[list[dict[str, Any]]]:
    """Micro-batches of so many, as the ledger has them."""
    for start in range(0, count, size):
        yield [
            {
                "id": ids.new(),
                # Uploaded, as the campaign's.
                "contact_id": None,
                "address": address(channel, number),
                "variables": orjson.dumps({"name": f"Käthe {number}", "code": f"CODE{number}"}).decode(),
            }
            for number in range(start, min(start + size, count))
        ]


async def check(contacts: Contacts, sending: Sending, rows: list[dict[str, Any]]) -> None:
    targets = [(row["contact_id"], row["address"]) for row in rows]
    if any(await contacts.refusals(sending.account, sending.channel, targets)):
        raise RuntimeError("somebody may not be messaged")


async def send(provider: Provider, messages: list[Outbound]) -> None:
    while messages:
        answers = await call(provider, messages)
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


async def measure(sender: dict[str, Any], count: int, *, checked: bool) -> float:
    settings = WorkSettings()  # type: ignore[call-arg]  # read from the environment
    http = Http(allowed=settings.allowed_networks)
    sealer = Sealer(settings.secrets_keys.get_secret_value())
    signer = TokenSigner(SERVICE, settings.token_private_key)
    client = Client(settings.contacts_target, ContactsServiceStub, audience="contacts", signer=signer)
    contacts = Contacts(client)
    reach = Reach(http.session, settings.allowed_networks, settings.provider_timeout_seconds)
    sendings = Sendings(reach, sealer, public_url=settings.public_url)
    sending = sendings.of(context(sender, sealer))  # type: ignore[arg-type]  # a row, for what is read of it
    batches = recipients(sender["channel"], count, batch_size(sending.provider))
    collector.spare(COLLECTOR)

    async def work() -> None:
        for rows in batches:
            messages = [sending.message(row) for row in rows]
            if checked:
                await check(contacts, sending, rows)
            await send(sending.provider, messages)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(settings.dispatch_batches):
            group.create_task(work())
    seconds = time.perf_counter() - began
    await sendings.providers.stop()
    await client.stop()
    await http.stop()
    return count / seconds


def main() -> None:
    sender, count, checked = sys.argv[1:]
    print(uvloop.run(measure(orjson.loads(sender), int(count), checked=checked != "no")))


if __name__ == "__main__":
    main()
