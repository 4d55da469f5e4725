"""One run: rounds of changes, edits and kills; after each, when all has come to rest, the audit."""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random

from carillon.contacts.v1 import contacts_pb2
from deploy.local.demo.rest import Rest
from deploy.local.demo.verdict import Check, equal, none
from tests.chaos import faults
from tests.chaos.history import History
from tests.chaos.segments import audit, readings, workers
from tests.chaos.segments.audit import Difference
from tests.chaos.segments.book import Book
from tests.chaos.segments.changes import Client
from tests.chaos.segments.dice import Dice
from tests.chaos.segments.edits import Editor
from tests.chaos.segments.people import People
from tests.chaos.segments.quiet import quiet
from tests.chaos.segments.rules import Rules
from tests.chaos.segments.workers import SECOND
from tests.throwaway_stack import ThrowawayStack

VICTIMS = ("contacts", "contacts-work", "segments", "segments-work", SECOND, "nats", "postgres")
# Reconciliation goes on in the background, as often as it can: it must find nothing while all this happens either.
ENVIRON = {"CARILLON_RECONCILE_HOURS": "0.001", "CARILLON_RECONCILE_PAUSE_SECONDS": "0.2"}
# For so long a call is repeated while what it needs is down.
PATIENCE_SECONDS = 30.0
WORLDS = 6
# Contacts of a segment that are shown where it is wrong.
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Scenario:
    seed: int
    # Contacts changed, in all.
    changes: int
    # Parts with an audit each: what is wrong may heal with the next change.
    rounds: int = 1
    # Each once in a round at the least, in orders of the seed.
    victims: tuple[str, ...] = VICTIMS
    # That there are at a time, about.
    contacts: int = 5_000
    clients: int = 4
    editors: int = 2
    # That an editor keeps.
    segments: int = 25
    # Between two kills, and between two edits of an editor, on average.
    kill_pause_seconds: float = 2.0
    edit_pause_seconds: float = 0.5


@dataclass(slots=True)
class Run:
    scenario: Scenario
    stack: ThrowawayStack
    rest: Rest
    history: History
    book: Book
    clients: Sequence[Client]
    editors: Sequence[Editor]
    rng: Random


async def play(scenario: Scenario, stack: ThrowawayStack, history: History) -> list[Check]:
    """Every check, held or not. Raises faults.NotBack and quiet.NotQuiet."""
    key = await asyncio.to_thread(stack.create_account, f"chaos {scenario.seed}")
    await asyncio.to_thread(workers.start_second, stack)
    async with Rest(stack.url, key, patience_seconds=PATIENCE_SECONDS) as rest:
        run = made(scenario, stack, rest, history)
        found: list[Check] = []
        for number in range(1, scenario.rounds + 1):
            await one_round(run, goal=scenario.changes * number // scenario.rounds)
            history.add("quiet", after_seconds=round(await quiet(stack), 1))
            found = together(found, await judge(run))
        return [*found, *await in_the_end(run)]


def made(scenario: Scenario, stack: ThrowawayStack, rest: Rest, history: History) -> Run:
    rng = Random(scenario.seed)
    folder = stack.home.folder / "demo"
    folder.mkdir(exist_ok=True)
    worlds = [Dice(Random(f"{scenario.seed} world {number}"), readings.now()) for number in range(WORLDS)]
    book = Book()
    clients = []
    for number in range(scenario.clients):
        own = Random(f"{scenario.seed} client {number}")
        clients.append(Client(rest, book, People(own, worlds), own, scenario.contacts, folder))
    editors = []
    for number in range(scenario.editors):
        own = Random(f"{scenario.seed} editor {number}")
        rules = Rules(own, worlds, lists=book.lists, segments=lambda: list(book.segments))
        editors.append(Editor(rest, book, rules, own, scenario.segments, scenario.edit_pause_seconds))
    return Run(scenario, stack, rest, history, book, clients, editors, rng)


async def one_round(run: Run, *, goal: int) -> None:
    """Changes until there are so many in all, with kills; each victim has been killed by then."""
    if not run.book.people:
        for _ in range(2):
            await run.clients[0].make_list()
        await run.clients[0].create()
    stop = asyncio.Event()
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for client in run.clients:
            group.create_task(client.run(stop))
        for editor in run.editors:
            group.create_task(editor.run(stop))
        await kill(run, until=goal)
        stop.set()
    run.history.add(
        "changed",
        seconds=round(time.monotonic() - began, 1),
        contacts=run.book.contact_changes,
        calls=run.book.calls,
        unanswered=dict(run.book.unanswered),
        **{kind.replace(" ", "_"): number for kind, number in sorted(run.book.changed.items())},
    )


async def kill(run: Run, *, until: int) -> None:
    """One victim after the other, each when the one before is back, until so many contacts were changed."""
    killed = 0
    while True:
        for name in run.rng.sample(run.scenario.victims, len(run.scenario.victims)):
            await asyncio.sleep(run.rng.uniform(0, 2 * run.scenario.kill_pause_seconds))
            if killed >= len(run.scenario.victims) and run.book.contact_changes >= until:
                return
            await faults.kill(run.stack, name, history=run.history)
            killed += 1


async def judge(run: Run) -> list[Check]:
    people = await readings.contacts(run.rest)
    found = await readings.segments(run.rest)
    listed = {one.segment["id"]: one.definition for one in found}
    differences = [audit.difference(one, people, listed) for one in found]
    rows = await readings.rows(run.stack)
    run.history.add(
        "audited",
        contacts=len(people),
        segments=len(found),
        members=sum(len(one.members) for one in found),
        with_members=sum(0 < len(one.members) < len(people) for one in found),
        by_the_clock=sum(bool(re.search("in_last|in_next", json.dumps(one.definition))) for one in found),
        moving=sum(not one.steady for one in found),
        undecided=sum(one.undecided for one in differences),
    )
    for one in differences:
        if one.extra or one.lacking:
            await show(run, one, people)
    return [
        *audit.membership(found, differences),
        *audit.counts(rows, list(listed)),
        *audit.edits(run.book.segments, run.book.deleted_segments, listed),
        none("calls refused that should not have been", run.book.refused),
        none("repairs by reconciliation in the background", list(workers.repaired(run.stack).elements())),
    ]


async def show(run: Run, wrong: Difference, people: Mapping[str, contacts_pb2.Contact]) -> None:
    """All that there is to know about it; the contacts are made up."""
    shown: dict[str, object] = {}
    for contact_id in [*wrong.extra[:SHOWN], *wrong.lacking[:SHOWN]]:
        if contact_id in people:
            path = f"/v1/segments/{wrong.segment_id}/explain"
            shown[contact_id] = await run.rest.get(path, contact_id=contact_id)
        else:
            shown[contact_id] = "there is no such contact"
    run.history.add(
        "wrong",
        seed=run.scenario.seed,
        segment=wrong.segment_id,
        rule=json.dumps(wrong.definition, ensure_ascii=False),
        read=f"{wrong.began} to {wrong.ended}",
        extra=wrong.extra,
        lacking=wrong.lacking,
        explained=shown,
        contacts=[str(people[one]) for one in shown if one in people],
    )


def together(earlier: list[Check], later: list[Check]) -> list[Check]:
    """The checks of several rounds: a claim holds where it held every time."""
    broken = {check.claim: check for check in earlier if not check.holds}
    return [broken.get(check.claim, check) for check in later]


async def in_the_end(run: Run) -> list[Check]:
    said = await workers.reconcile(run.stack)
    run.history.add("reconciled", said=said, killed=dict(killed(run.history)), refused=run.book.refused[:SHOWN])
    return [
        equal(
            "contacts changed, at the least", min(run.book.contact_changes, run.scenario.changes), run.scenario.changes
        ),
        equal("what the reconcile command found", said.partition("repaired: ")[2], "nothing"),
    ]


def killed(history: History) -> Counter[object]:
    return Counter(event["name"] for event in history.events if event["event"] == "killed")
