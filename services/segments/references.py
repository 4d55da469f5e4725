"""Segments whose rules name segments: what a build carries with it, and who is built anew when one changes.

All of it under the account's exclusive lock, where anything is written.
"""

from collections.abc import Collection, Mapping
from graphlib import TopologicalSorter
from uuid import UUID

from chassis import ids
from chassis.db import ReadTx, WriteTx
from chassis.ids import AccountId
from services.segments import errors, repository
from services.segments.domain.definitions import Definition, References, named, read
from services.segments.domain.faults import Fault
from services.segments.repository import Segment


async def inlined(tx: ReadTx, account: AccountId, definition: Definition, *, of: UUID | None) -> dict[str, str]:
    """The definitions that this one has to carry with it. of: the segment that it is meant for, where it exists.

    Raises InvalidArgument(INVALID_RULE): a segment that is not there, a cycle, too much together.
    """
    references = References(await reachable(tx, account, [definition]))
    faults = references.faults(definition, of=None if of is None else ids.encode("seg", of))
    if faults:
        raise errors.invalid_rule(faults)
    return references.closure(definition)


async def rebuild_dependents(tx: WriteTx, segment: UUID) -> None:
    """Give each segment whose rule names this one, itself or through others, a new build, in order.

    Raises InvalidArgument(INVALID_RULE) where one would grow too large.
    """
    order = await above(tx, segment)
    if not order:
        return
    found = {one.id: one for one in await repository.several(tx, tx.account, order)}
    definitions = {one: read(segment.definition) for one, segment in found.items()}
    references = References(await reachable(tx, tx.account, list(definitions.values())))
    for one in order:
        public_id = ids.encode("seg", one)
        if references.faults(definitions[one], of=public_id):
            raise errors.invalid_rule(
                [Fault("", f"With this rule, that of {public_id}, which names it, gets too long or too deep.")]
            )
        await build_anew(tx, found[one], definitions[one], references.closure(definitions[one]))


async def build_anew(tx: WriteTx, segment: Segment, definition: Definition, carried: Mapping[str, str]) -> UUID:
    """A new build in place of one that is not served yet."""
    if segment.next_build is not None:
        await repository.retire_next(tx, segment.next_build)
    build = ids.new()
    await repository.insert_build(tx, build, segment=segment.id, definition=definition.text, inlined=carried)
    await repository.set_next(tx, segment.id, build)
    return build


async def above(tx: WriteTx, segment: UUID) -> list[UUID]:
    """Those that depend on the segment, each after all of them that it depends on itself."""
    names: dict[UUID, set[UUID]] = {}
    level: Collection[UUID] = [segment]
    while level:
        pairs = await repository.dependents(tx, tx.account, level)
        level = {one for one, _ in pairs} - names.keys()
        for one, other in pairs:
            names.setdefault(one, set()).add(other)
    return [one for one in TopologicalSorter(names).static_order() if one != segment]


async def reachable(tx: ReadTx, account: AccountId, definitions: Collection[Definition]) -> dict[str, Definition]:
    """All that the definitions name, and that these name, as the newest rules are."""
    known: dict[str, Definition] = {}
    waiting = {segment for one in definitions for segment, _ in named(one.rule)}
    while waiting:
        wanted = [segment for text in waiting if (segment := ids.decode("seg", text)) is not None]
        found = await repository.several(tx, account, wanted)
        for one in found:
            known[ids.encode("seg", one.id)] = read(one.definition)
        fresh = [known[ids.encode("seg", one.id)] for one in found]
        waiting = {segment for one in fresh for segment, _ in named(one.rule)} - known.keys()
    return known


def named_ids(definition: Definition) -> set[UUID]:
    return {segment for text, _ in named(definition.rule) if (segment := ids.decode("seg", text)) is not None}
