"""The differential tests' contacts and rules, made by a seeded generator instead of by Hypothesis."""

from collections.abc import Sequence
from random import Random
from typing import Any, cast

from hypothesis import strategies as st

from services.segments.domain.fields import Field
from tests.unit.segments import strategies
from tests.unit.segments.strategies import BY_KIND, KINDS
from tests.unit.segments.values import Picker

# What the gateway takes for an integer; a double beyond.
INTEGERS = range(-(2**63), 2**63)
LAST_CHARACTER = 0x1FFFF
SURROGATES = range(0xD800, 0xE000)


class Dice(Picker):
    """A world of a few fields and a few values, so that rules meet what contacts have."""

    def __init__(self, rng: Random, now: int) -> None:
        """now: microseconds since 1970, near which its times lie."""
        self._rng = rng
        # The one strategy that is drawn from: any text.
        super().__init__(cast(st.DrawFn, self._text), [now])
        self.fields: list[Field] = [self.of(BY_KIND[kind]) for kind in self.some(KINDS, 1, 3)]

    def number(self, least: int, most: int) -> int:
        return self._rng.randint(least, most)

    def definition(self, segments: Sequence[str]) -> dict[str, Any]:
        """One that the API takes, and that may name the segments."""
        found: dict[str, Any] = sendable(strategies.definition(self, self.fields, segments))
        return found

    def custom(self) -> dict[str, Any]:
        found: dict[str, Any] = sendable(strategies.custom(self))
        return found

    def text(self) -> str:
        return self.of(self.texts)

    def tags(self) -> list[str]:
        return [tag for one in self.some(self.texts, 0, 3) if (tag := one.strip()[:64])]

    def _text(self, strategy: object) -> str:
        codes = (self._rng.randint(1, LAST_CHARACTER) for _ in range(self._rng.randint(1, 8)))
        return "".join(chr(code) for code in codes if code not in SURROGATES) or "x"


def sendable(value: Any) -> Any:
    """The same without integers that JSON bodies cannot have."""
    if isinstance(value, dict):
        return {key: sendable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [sendable(inner) for inner in value]
    if isinstance(value, int) and value not in INTEGERS:
        return 1e300
    return value
