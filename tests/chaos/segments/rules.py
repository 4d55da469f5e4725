"""Rules of every kind: the benchmarks', the differential tests', and some that meet what this run changes."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from tests.bench import segment_load
from tests.bench.segment_load import COUNTRIES, STAGES, TAGS, leaf
from tests.chaos.segments.dice import Dice
from tests.chaos.segments.people import CHANNELS, HOT_TAGS

Node = dict[str, Any]
Definition = dict[str, Any]
SHORT = ["20s", "45s", "1m", "90s", "2m", "4m"]
DEEPEST = 3


class Rules:
    def __init__(
        self, rng: Random, worlds: Sequence[Dice], *, lists: Sequence[str], segments: Callable[[], Sequence[str]]
    ) -> None:
        """lists: ids, kept up to date by whoever changes them. segments: ids of those that may be named now."""
        self._rng = rng
        self._worlds = worlds
        self._lists = lists
        self._segments = segments
        # At first each kind alone: a rule that also reads something else may be put right by that.
        self._alone = [self._segment, self._consent, self._tag, self._time, self._list]

    def definition(self) -> Definition:
        if self._alone and self._lists:
            made = self._alone.pop()
            if made != self._segment or self._segments():
                return {"conditions": [made()]}
        kind = self._rng.random()
        if kind < 0.15:
            return segment_load.written(self._rng.randrange(10**6))
        if kind < 0.4:
            return self._rng.choice(self._worlds).definition(self._segments())
        if kind < 0.55:
            return {"conditions": [self._leaf() for _ in range(self._rng.randint(1, 3))]}
        return {"rules": self._node(self._rng.randint(0, DEEPEST))}

    def _node(self, depth: int) -> Node:
        if depth == 0:
            return self._leaf()
        group: Node = {}
        for key in self._rng.choice([["all"], ["any"], ["any"], ["not"], ["all", "not"], ["any", "not"]]):
            inside = [self._node(depth - 1), *(self._leaf() for _ in range(self._rng.randint(0, 2)))]
            group[key] = inside[0] if key == "not" else inside
        return group

    def _leaf(self) -> Node:
        kinds = [self._tag, self._time, self._time, self._person, self._consent, self._number, self._never_messaged]
        kinds += [self._list] * 2 if self._lists else []
        kinds += [self._segment] * 2 if self._segments() else []
        found = self._rng.choice(kinds)()
        return found if self._rng.random() < 0.7 else found | {"operator": f"not_{found['operator']}"}

    def _tag(self) -> Node:
        tags = self._rng.sample(HOT_TAGS, 2)
        rare = f"tag-{self._rng.randrange(TAGS)}"
        return self._rng.choice(
            [
                leaf("tags", "contains", tags[0].upper()),
                leaf("tags", "contains_any", [*tags, rare]),
                leaf("tags", "contains_all", tags),
                leaf("tags", "starts_with", tags[0]),
                leaf("tags", "exists", None),
            ]
        )

    def _time(self) -> Node:
        field = self._rng.choice(["created_at", "updated_at", "metadata.at", "metadata.at"])
        operator = "in_last" if field != "metadata.at" else self._rng.choice(["in_last", "in_next", "in_next"])
        return leaf(field, operator, self._rng.choice(SHORT))

    def _list(self) -> Node:
        some = self._rng.sample(list(self._lists), min(2, len(self._lists)))
        return self._rng.choice([leaf("lists", "contains", some[0]), leaf("lists", "contains_all", some)])

    def _segment(self) -> Node:
        some = self._rng.sample(list(self._segments()), min(2, len(self._segments())))
        return self._rng.choice([leaf("segments", "contains", some[0]), leaf("segments", "contains_all", some)])

    def _person(self) -> Node:
        return self._rng.choice(
            [
                leaf("country", "in", self._rng.sample(COUNTRIES, 3)),
                leaf("stage", "equals", self._rng.choice(STAGES)),
                leaf("email", "exists", None),
                leaf("phone", "ends_with", str(self._rng.randrange(10))),
                leaf("name", "contains", self._rng.choice(["an", "E", "smith1"])),
                leaf("channels", "contains", self._rng.choice(CHANNELS)),
                leaf("do_not_disturb", "equals", True),
                leaf("is_bot_active", "equals", False),
                leaf("validity.phone", "equals", "valid"),
            ]
        )

    def _consent(self) -> Node:
        return leaf(f"preferences.{self._rng.choice(CHANNELS)}", "in", self._rng.sample(["opted_out", "opted_in"], 1))

    def _number(self) -> Node:
        return self._rng.choice(
            [
                leaf("metadata.age", "between", sorted(self._rng.sample(range(18, 90), 2))),
                leaf("metadata.visits", "gt", self._rng.randrange(600)),
                leaf("metadata.visits", "in", [7, "300"]),
                leaf("version", "gte", self._rng.randint(2, 30)),
            ]
        )

    def _never_messaged(self) -> Node:
        return self._rng.choice([leaf("messages_received", "lt", 1), leaf("last_message_at", "exists", None)])
