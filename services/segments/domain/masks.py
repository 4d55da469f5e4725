"""What is known of rules over a batch: the masks of their comparisons, and who holds which rule."""

from collections.abc import Container, Iterable, Sequence

from services.segments.domain.batch import Batch
from services.segments.domain.boolean import And, Expression, Not, Or, replace
from services.segments.domain.comparisons import RELATIVE, Compare, Comparison, Compiled
from services.segments.domain.facts import Value


class Masks:
    """Of comparisons by number, over a batch: those of equality at once, others when they are asked for."""

    def __init__(self, batch: Batch, index: "Index") -> None:
        self.everybody = batch.everybody
        self._batch = batch
        self._comparisons = index.comparisons
        self._known: list[int | None] = index.blank.copy()
        # Comparisons of equality that hold for anybody.
        self.hits: list[int] = []
        for name in batch.present & index.equal.keys():
            by_value = index.equal[name]
            for value, mask in batch.column(name).masks.items():
                for number in by_value.get(value, ()):
                    self._hit(number, mask)

    def _hit(self, number: int, mask: int) -> None:
        known = self._known[number]
        if not known:
            self.hits.append(number)
        self._known[number] = (known or 0) | mask

    def of(self, number: int) -> int:
        mask = self._known[number]
        if mask is None:
            comparison = self._comparisons[number]
            mask = 0
            if comparison.column in self._batch.present:
                mask = self._batch.column(comparison.column).mask(comparison, self._batch.now)
            self._known[number] = mask
        return mask


class Index:
    """The distinct comparisons of some rules, by number."""

    def __init__(self, rules: Iterable[Compiled]) -> None:
        numbers: dict[Comparison, int] = {}
        self.rules = [replace(rule, lambda one: numbers.setdefault(one, len(numbers))) for rule in rules]
        self.comparisons = list(numbers)
        self.relative = frozenset(number for number, one in enumerate(self.comparisons) if one.how in RELATIVE)
        # By column and value.
        self.equal: dict[str, dict[Value, list[int]]] = {}
        # Those of equality are false until they are found, the others unknown until they are asked for.
        self.blank: list[int | None] = [None] * len(self.comparisons)
        for number, one in enumerate(self.comparisons):
            if one.how is Compare.EQUALS:
                self.blank[number] = 0
                by_value = self.equal.setdefault(one.column, {})
                for value in one.operand:
                    by_value.setdefault(value, []).append(number)  # type: ignore[arg-type]  # none is None
        self.columns = frozenset(one.column for one in self.comparisons)
        self.rules = [self._cheap_first(rule) for rule in self.rules]

    def _cheap_first(self, rule: Expression[int]) -> Expression[int]:
        """The same rule, with what is found anyway before what has to be looked for."""
        if isinstance(rule, And | Or):
            parts = sorted(map(self._cheap_first, rule.parts), key=self._cost)
            return And(tuple(parts)) if isinstance(rule, And) else Or(tuple(parts))
        return Not(self._cheap_first(rule.part)) if isinstance(rule, Not) else rule

    def _cost(self, rule: Expression[int]) -> int:
        return int(self.blank[rule] is None) if isinstance(rule, int) else 2


class Anchored:
    """Which rules may hold, from what is known to."""

    def __init__(self, index: Index, unknown: Container[int] = ()) -> None:
        """unknown: comparisons of which nothing is assumed."""
        # Rules by each of their anchors; those that have none; and anchors that must be looked for.
        self._rules: dict[int, list[int]] = {}
        self._always: list[int] = []
        for place, rule in enumerate(index.rules):
            found = anchors(rule, index.blank, unknown)
            if found is None:
                self._always.append(place)
            for number in found or ():
                self._rules.setdefault(number, []).append(place)
        self._looked_for = [number for number in self._rules if index.blank[number] is None]

    def rules(self, masks: Masks) -> list[int]:
        """Their places, in order."""
        places = set(self._always)
        for number in masks.hits:
            places.update(self._rules.get(number, ()))
        for number in self._looked_for:
            if masks.of(number):
                places.update(self._rules[number])
        return sorted(places)


def mask_of(rule: Expression[int], masks: Masks) -> int:
    """rule: over the numbers of comparisons."""
    if isinstance(rule, int):
        return masks.of(rule)
    if isinstance(rule, And):
        mask = masks.everybody
        for part in rule.parts:
            mask &= mask_of(part, masks)
            if not mask:
                break
        return mask
    if isinstance(rule, Or):
        mask = 0
        for part in rule.parts:
            mask |= mask_of(part, masks)
            if mask == masks.everybody:
                break
        return mask
    return masks.everybody & ~mask_of(rule.part, masks)


def possible(rule: Expression[int], masks: Masks, unknown: Container[int]) -> tuple[int, int]:
    """For whom the rule could be true, and for whom false, if nothing were known of some comparisons."""
    everybody = masks.everybody
    if isinstance(rule, int):
        if rule in unknown:
            return everybody, everybody
        mask = masks.of(rule)
        return mask, everybody & ~mask
    if isinstance(rule, Not):
        true, false = possible(rule.part, masks, unknown)
        return false, true
    all_true, any_true, all_false, any_false = everybody, 0, everybody, 0
    for part in rule.parts:
        true, false = possible(part, masks, unknown)
        all_true, any_true = all_true & true, any_true | true
        all_false, any_false = all_false & false, any_false | false
        if isinstance(rule, And) and not all_true:
            # Nobody can be in; what the other parts say makes no difference to whom to watch.
            return 0, everybody
    return (all_true, any_false) if isinstance(rule, And) else (any_true, all_false)


def anchors(rule: Expression[int], blank: Sequence[int | None], unknown: Container[int]) -> frozenset[int] | None:
    """Comparisons of which at least one must hold where the rule does; None where it can hold without any.

    Those that are found anyway are better ones, and of these few are better than many.
    """
    if isinstance(rule, int):
        return None if rule in unknown else frozenset({rule})
    if isinstance(rule, And):
        known = [found for part in rule.parts if (found := anchors(part, blank, unknown)) is not None]
        return min(known, key=lambda found: (any(blank[number] is None for number in found), len(found)), default=None)
    if isinstance(rule, Or):
        parts = [anchors(part, blank, unknown) for part in rule.parts]
        return None if None in parts else frozenset().union(*(part for part in parts if part is not None))
    return None
