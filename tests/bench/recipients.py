"""Pages of a ledger of 1,000,000 recipients: of each state, by cursor to any depth and by number."""

import asyncio
import random
import time

import asyncpg

from chassis import ids
from deploy.local.demo.rest import Rest
from tests import throwaway_stack
from tests.bench.measure import percentile
from tests.bench.record import Outcome
from tests.throwaway_stack import ThrowawayStack

RECIPIENTS = 1_000_000
CHUNK = 500
PAGES = 60
LIMIT_MS = 100.0
# A few of the rare ones, spread over the whole; one chunk in a hundred has the rarest.
STATES = """
CASE WHEN n % 20011 = 0 THEN 'uncertain' WHEN n % 997 = 0 THEN 'failed' WHEN n % 211 = 0 THEN 'clicked'
  WHEN n % 13 = 0 THEN 'opened' WHEN n > 900000 THEN 'sent' WHEN n % 7 = 0 THEN 'skipped' ELSE 'delivered' END
"""
FILL = f"""
INSERT INTO recipients (account_id, campaign_id, chunk, id, address, variables, status, sent_at, state_revision)
SELECT $1, $2, n / {CHUNK}, gen_random_uuid(), '+1' || (5550000000 + n), '{{"name": "Käthe", "code": "CODE"}}',
  {STATES}, now(), 4
FROM generate_series($3::bigint, $4::bigint) AS n
"""
COUNT = """
UPDATE campaign_stats SET (total, sent, delivered, failed, pending, skipped, uncertain, opened, clicked) = (
  SELECT count(*), count(*) FILTER (WHERE status NOT IN ('skipped', 'uncertain')),
    count(*) FILTER (WHERE status IN ('delivered', 'opened', 'clicked')), count(*) FILTER (WHERE status = 'failed'), 0,
    count(*) FILTER (WHERE status = 'skipped'), count(*) FILTER (WHERE status = 'uncertain'),
    count(*) FILTER (WHERE status IN ('opened', 'clicked')), count(*) FILTER (WHERE status = 'clicked')
  FROM recipients WHERE account_id = $1 AND campaign_id = $2)
WHERE account_id = $1 AND campaign_id = $2
"""
WANTED = ("", "uncertain", "failed", "clicked", "opened", "sent", "skipped", "delivered", "pending")


async def fill(url: str, account: object, campaign: object) -> float:
    """Seconds that a million lines took to write."""
    connection = await asyncpg.connect(url)
    began = time.perf_counter()
    try:
        for start in range(0, RECIPIENTS, 50_000):
            await connection.execute(FILL, account, campaign, start, start + 49_999)
        took = time.perf_counter() - began
        await connection.execute(COUNT, account, campaign)
        await connection.execute("VACUUM ANALYZE recipients")
        await connection.execute("VACUUM ANALYZE chunk_states")
    finally:
        await connection.close()
    return took


async def by_cursor(rest: Rest, path: str, status: str, chance: random.Random) -> list[float]:
    """Milliseconds of pages, each behind the one before; of the common states some way into the ledger."""
    took: list[float] = []
    cursor = ""
    for _ in range(PAGES):
        query = {"limit": str(chance.choice((50, 100))), "status": status, "cursor": cursor}
        began = time.perf_counter()
        page = await rest.get(path, **{name: value for name, value in query.items() if value})
        took.append((time.perf_counter() - began) * 1000)
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return took


async def by_number(rest: Rest, path: str, status: str, chance: random.Random) -> list[float]:
    took: list[float] = []
    for _ in range(PAGES // 2):
        query = {"page": str(chance.randrange(1, 1000)), "per_page": "100", "status": status}
        began = time.perf_counter()
        await rest.get(path, **{name: value for name, value in query.items() if value})
        took.append((time.perf_counter() - began) * 1000)
    return took


async def measure(stack: ThrowawayStack) -> tuple[float, dict[str, tuple[list[float], list[float]]]]:
    key = await asyncio.to_thread(stack.create_account, "bench recipients")
    chance = random.Random(7)
    async with Rest(stack.url, key) as rest:
        template = await rest.post("/v1/templates", {"name": "bench", "channel": "sms", "body": "x"})
        await rest.post(
            "/v1/senders",
            {
                "name": "bench", "channel": "sms", "address": "CARILLON", "provider": "http", "is_default": True,
                "settings": {"url": f"{stack.carrier_url}/messages"},
            },
        )  # fmt: skip
        made = await rest.post("/v1/campaigns", {"name": "bench", "template_id": template["id"]})
        url = stack.database_url("campaigns")
        connection = await asyncpg.connect(url)
        campaign = ids.decode("cmp", made["id"])
        account = await connection.fetchval("SELECT account_id FROM campaigns WHERE id = $1", campaign)
        await connection.close()
        seconds = await fill(url, account, campaign)
        path = f"/v1/campaigns/{made['id']}/recipients"
        await rest.get(path)
        found = {
            status: (await by_cursor(rest, path, status, chance), await by_number(rest, path, status, chance))
            for status in WANTED
        }
    return seconds, found


def run(rounds: int = 1) -> Outcome:
    with throwaway_stack.started("bench") as stack:
        seconds, found = asyncio.run(measure(stack))
    rows, missed, figures = [], [], {}
    for status, ways in found.items():
        name = status or "any"
        cells = [name]
        for way, took in zip(("cursor", "number"), ways, strict=True):
            worst = percentile(took, 0.99)
            figures[f"{name}_{way}_p50_ms"], figures[f"{name}_{way}_p99_ms"] = percentile(took, 0.5), worst
            cells += [str(len(took)), f"{percentile(took, 0.5):.1f}", f"{worst:.1f}"]
            if way == "cursor" and worst > LIMIT_MS:
                missed.append(f"{name} by cursor: p99 {worst:.0f} ms, not {LIMIT_MS:.0f}")
        rows.append(cells)
    return Outcome(
        "recipients",
        f"Pages of {RECIPIENTS:,} recipients by REST ({RECIPIENTS / seconds:,.0f} lines/s written with their states)",
        ["state", "cursor pages", "p50, ms", "p99, ms", "numbered pages", "p50, ms", "p99, ms"],
        rows,
        figures | {"lines_per_second_written": RECIPIENTS / seconds},
        {"recipients": RECIPIENTS, "pages": PAGES, "rounds": rounds},
        missed,
    )
