"""A subscriber: keeps a copy of a segment's members in a SQLite file, and may be killed and started again at any time.

    carillon events subscriber copy --account acct_… --types segment.members_changed     (once, by an operator)
    python examples/segment_copy.py seg_… members.db

CARILLON_URL and CARILLON_API_KEY (scope segments:read) are for the first copy. CARILLON_NATS_URL is the subscriber's:
the user's name is its consumer's too (CARILLON_NATS_CONSUMER names another one), and the inbox prefix is `_INBOX_` and
that name.

How it stays right: the consumer is there before the copy is made, so that no change is missed. The copy's pages say at
which revision of the segment they begin; steps up to there are in it. Of each contact the highest membership revision
wins, so that steps may come twice, late and in any order. A step is acknowledged when it is committed, and not before.
"""

import asyncio
import json
import os
import sqlite3
import sys
import urllib.request
from urllib.parse import urlsplit

import nats
from nats.errors import TimeoutError as NothingYet

from carillon.events.v1 import events_pb2

STREAM = "EVENTS"
WAIT_SECONDS = 5.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS members (contact_id TEXT PRIMARY KEY, revision INTEGER NOT NULL, member INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS copied (segment_id TEXT PRIMARY KEY, revision INTEGER NOT NULL);
"""
STEP = """
INSERT INTO members (contact_id, revision, member) VALUES (?, ?, ?)
ON CONFLICT (contact_id) DO UPDATE SET revision = excluded.revision, member = excluded.member
WHERE excluded.revision > members.revision
"""


def page(segment_id: str, cursor: str | None) -> dict:
    query = f"?limit=100&cursor={cursor}" if cursor else "?limit=100"
    request = urllib.request.Request(
        f"{os.environ['CARILLON_URL']}/v1/segments/{segment_id}/members{query}",
        headers={"Authorization": f"Bearer {os.environ['CARILLON_API_KEY']}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def first_copy(db: sqlite3.Connection, segment_id: str) -> int:
    """The revision that the copy began at. Made once, and whole or not at all."""
    known = db.execute("SELECT revision FROM copied WHERE segment_id = ?", (segment_id,)).fetchone()
    if known:
        return known[0]
    found = page(segment_id, None)
    begun = found["revision"]
    with db:
        while True:
            rows = [(member["contact"]["id"], 0, True) for member in found["data"]]
            db.executemany("INSERT OR IGNORE INTO members (contact_id, revision, member) VALUES (?, ?, ?)", rows)
            if not found["has_more"]:
                break
            found = page(segment_id, found["next_cursor"])
        db.execute("INSERT INTO copied (segment_id, revision) VALUES (?, ?)", (segment_id, begun))
    return begun


def apply(db: sqlite3.Connection, data: bytes, *, segment_id: str, begun: int) -> None:
    """The steps of one event that the copy does not have."""
    event = events_pb2.SegmentMembersChanged.FromString(data)
    with db:
        for steps in event.segments:
            if steps.segment_id == segment_id and steps.revision > begun:
                db.executemany(STEP, [(one.contact_id, one.membership_revision, True) for one in steps.joined])
                db.executemany(STEP, [(one.contact_id, one.membership_revision, False) for one in steps.left])


async def main(segment_id: str, file: str) -> None:
    url = os.environ["CARILLON_NATS_URL"]
    consumer = os.environ.get("CARILLON_NATS_CONSUMER") or urlsplit(url).username or ""
    db = sqlite3.connect(file)
    db.executescript(SCHEMA)
    begun = first_copy(db, segment_id)
    client = await nats.connect(url, inbox_prefix=f"_INBOX_{consumer}", max_reconnect_attempts=-1)
    subscription = await client.jetstream().pull_subscribe_bind(consumer, STREAM)
    print("following", flush=True)
    while True:
        try:
            # One at a time: a fetch of several waits for all of them. Each tells of up to 500 steps.
            (message,) = await subscription.fetch(1, timeout=WAIT_SECONDS)
        except NothingYet:
            continue
        if (message.headers or {}).get("ce-type") == "segment.members_changed":
            apply(db, message.data, segment_id=segment_id, begun=begun)
        await message.ack()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
