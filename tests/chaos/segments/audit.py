"""Segments against the oracle, over the contacts as the API has them. Pure, so that tests can break it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from carillon.contacts.v1 import contacts_pb2
from deploy.local.demo.verdict import Check, equal, none
from tests.chaos.segments.readings import Reading
from tests.unit.segments import oracle

People = Mapping[str, contacts_pb2.Contact]
Definitions = Mapping[str, Mapping[str, Any]]
SECOND = 1_000_000
# What happens by the clock is seen within so long.
LATE = 2 * SECOND
# Between two moments at which a difference is asked about again.
STEP = 20_000


@dataclass(frozen=True, slots=True)
class Difference:
    segment_id: str
    definition: Mapping[str, Any]
    # Members that the rule does not hold, and those that it holds and that are none.
    extra: list[str]
    lacking: list[str]
    # When they were read.
    began: int
    ended: int
    # Whose membership the clock was changing while they were read, and who are not asked about.
    undecided: int


def difference(reading: Reading, people: People, definitions: Definitions) -> Difference:
    """definitions: of all segments, by id."""
    began, ended = reading.began - LATE, reading.ended

    def holds(contact: contacts_pb2.Contact, now: int) -> bool:
        return oracle.holds(reading.definition, contact, {}, now, definitions)

    before = {contact_id for contact_id, contact in people.items() if holds(contact, began)}
    after = {contact_id for contact_id, contact in people.items() if holds(contact, ended)}
    undecided = before ^ after
    wrong = (set(reading.members) ^ after) - undecided
    # In for a moment between the two, or out for one.
    undecided |= {
        contact_id
        for contact_id in wrong & people.keys()
        if len({holds(people[contact_id], moment) for moment in range(began, ended, STEP)}) > 1
    }
    extra, lacking = set(reading.members) - after - undecided, after - set(reading.members) - undecided
    return Difference(
        reading.segment["id"], reading.definition, sorted(extra), sorted(lacking), reading.began, ended, len(undecided)
    )


def membership(readings: Sequence[Reading], differences: Sequence[Difference]) -> list[Check]:
    return [
        none(
            "segments that are not ready", [one.segment["id"] for one in readings if one.segment["status"] != "ready"]
        ),
        none("members that their rule does not match", [who for one in differences for who in one.extra]),
        none("contacts that a rule matches and its segment lacks", [who for one in differences for who in one.lacking]),
        none(
            "members that are listed twice",
            [one.segment["id"] for one in readings if len(set(one.members)) != len(one.members)],
        ),
        none(
            "segments whose member_count is not the number of members",
            [one.segment["id"] for one in readings if one.steady and one.segment["member_count"] != len(one.members)],
        ),
    ]


def counts(rows: Mapping[str, tuple[int, int]], segments: Sequence[str]) -> list[Check]:
    """rows: segment → (what its build counts, what there are)."""
    return [
        none(
            "segments whose count is not the number of rows", [one for one, (says, has) in rows.items() if says != has]
        ),
        equal("segments with rows = segments listed", set(rows), set(segments)),
    ]


def edits(known: Mapping[str, Mapping[str, Any] | None], deleted: set[str], listed: Definitions) -> list[Check]:
    """Acknowledged changes of segments. known: rules as they should be; None where that is not known."""
    lost = [one for one, rule in known.items() if rule is not None and listed.get(one) != rule]
    return [
        none("acknowledged edits of segments that were lost", lost),
        none("deleted segments that are back", sorted(deleted & listed.keys())),
    ]
