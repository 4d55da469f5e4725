"""Step 1: the file goes in through the same call that a customer would make."""

import asyncio
import time
from pathlib import Path
from typing import Any

from deploy.local.demo.contacts_csv import Book
from deploy.local.demo.rest import Rest
from deploy.local.demo.screen import Screen
from deploy.local.demo.verdict import Check, equal

POLL_SECONDS = 0.2
IMPORT_SECONDS = 300.0


async def run(rest: Rest, screen: Screen, file: Path, *, book: Book) -> list[Check]:
    began = time.perf_counter()
    with screen.bars() as bars:
        answer = await rest.upload(
            "/v1/contacts/import",
            file,
            on_bytes=lambda done, size: bars.show("uploading", done, size),
            headers={"Prefer": "respond-async"},
        )
        uploaded = time.perf_counter()
        outcome = await _finished(rest, answer, bars_show=lambda rows: bars.show("importing", rows, book.rows))
    ended = time.perf_counter()
    screen.say(
        f"{book.rows:,} rows in {ended - began:.1f} s, {ended - uploaded:.1f} s of it after the upload: "
        f"{book.rows / (ended - began):,.0f} rows/s"
    )
    screen.say(
        f"imported {outcome['imported']:,}, duplicates {outcome['duplicates']:,}, failed {outcome['failed']:,}; "
        "the first refusals:"
    )
    for error in outcome["errors"][:3]:
        screen.say(f"    row {error['row']}: {error['reason']}")
    listed = {error["row"] for error in outcome["errors"]}
    return [
        equal("rows imported", outcome["imported"], book.imported),
        equal("rows refused", outcome["failed"], book.failed),
        equal("duplicates recognised in other spellings", outcome["duplicates"], book.duplicates),
        equal("the first 100 refused rows are the bad ones", listed, set(sorted(book.failed_rows)[:100])),
    ]


async def _finished(rest: Rest, answer: dict[str, Any], *, bars_show: Any) -> dict[str, Any]:
    """The import when it has ended. `answer` has a status where the gateway did not wait for the end."""
    deadline = time.monotonic() + IMPORT_SECONDS
    while "status" in answer:
        bars_show(answer["progress"]["rows"])
        if answer["status"] == "completed":
            break
        if answer["status"] == "failed" or time.monotonic() > deadline:
            raise RuntimeError(f"the import did not complete: {answer['status']} {answer['error']}")
        await asyncio.sleep(POLL_SECONDS)
        answer = await rest.get(f"/v1/imports/{answer['id']}")
    bars_show(answer["imported"] + answer["duplicates"] + answer["failed"])
    return answer
