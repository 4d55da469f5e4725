"""Why a contact is in a segment, or is not: the rule's comparisons one by one, and when time will change them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from carillon.contacts.v1 import contacts_pb2
from services.segments import contact_facts
from services.segments.domain.batch import Batch
from services.segments.domain.boolean import leaves
from services.segments.domain.comparisons import Compiled, compile_leaf
from services.segments.domain.definitions import Definition, compile_with
from services.segments.domain.facts import Facts
from services.segments.domain.fields import Kind
from services.segments.domain.grammar import Leaf
from services.segments.domain.matcher import RuleSet

# Moments at which something flips that are looked through for those at which a leaf does: of all leaves together, and
# of each at least. A contact's arrays may have thousands.
MAX_FLIPS = 100
MIN_FLIPS = 3


@dataclass(frozen=True, slots=True)
class Explained:
    """One comparison, for one contact."""

    leaf: Leaf
    # The condition as written.
    written: Mapping[str, Any]
    passed: bool
    # As JSON has it.
    seen: object
    # Microseconds since 1970; None where it stays as it is.
    flips_at: int | None


@dataclass(frozen=True, slots=True)
class Explanation:
    matches: bool
    leaves: Sequence[Explained]

    @property
    def flips_at(self) -> int | None:
        return min((one.flips_at for one in self.leaves if one.flips_at is not None), default=None)


def explain(
    definition: Definition,
    inlined: Mapping[str, str],
    contact: contacts_pb2.Contact,
    engagement: Mapping[str, Any] | None,
    *,
    now: int,
) -> Explanation:
    """engagement: the row of the table, where there is one. now: microseconds since 1970."""
    facts: Facts = contact_facts.facts_of(contact)
    if engagement is not None:
        facts = {**facts, **contact_facts.engagement_facts(engagement)}

    def inline(segment: str) -> Compiled:
        return compile_with(inlined[segment], inlined)

    found = list(leaves(definition.rule))
    looks = max(MAX_FLIPS // len(found), MIN_FLIPS)

    def explained(leaf: Leaf) -> Explained:
        rule = compile_leaf(leaf, inline)
        if leaf.field.kind is Kind.SEGMENTS:
            assert isinstance(leaf.operand, tuple)
            seen: object = [one for one in leaf.operand if holds(inline(str(one)), facts, now)] or None
        else:
            seen = contact_facts.shown(leaf.field, contact, engagement or {})
        flips_at = next_change(rule, facts, now, looks=looks)
        return Explained(leaf, at(written, leaf.pointer), holds(rule, facts, now), seen, flips_at)

    written = orjson.loads(definition.text)
    matches = holds(compile_with(definition.text, inlined), facts, now)
    return Explanation(matches, [explained(leaf) for leaf in found])


def holds(rule: Compiled, facts: Facts, now: int) -> bool:
    return bool(RuleSet({None: rule}).match(Batch([facts], now)))


def next_change(rule: Compiled, facts: Facts, now: int, *, looks: int) -> int | None:
    """The first moment at which the answer is another one; None also where it is not among so many."""
    rules = RuleSet({None: rule})
    if not len(rules.relative):
        return None
    before, moment = bool(rules.match(Batch([facts], now))), now
    for _ in range(looks):
        (flip,) = rules.flips(Batch([facts], moment))
        if flip is None or bool(rules.match(Batch([facts], flip))) != before:
            return flip
        moment = flip
    return None


def at(written: Any, pointer: str) -> Mapping[str, Any]:
    """What a pointer of the grammar points to; its parts are keys of groups and places in arrays."""
    node = written
    for part in pointer.split("/")[1:]:
        node = node[int(part)] if isinstance(node, list) else node[part]
    found: Mapping[str, Any] = node
    return found
