"""What keeps one customer's template from taking the memory, or the time, of all.

Counted in units of work, about a microsecond each at most, and not by a clock: a template is refused on a busy machine
exactly where it is refused on an idle one.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from liquid import BoundTemplate, Environment, RenderContext
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.exceptions import LiquidSyntaxError, ResourceLimitError
from liquid.limits import to_int
from liquid.token import Token

from services.campaigns.liquid_missing import NotingContext

# Of one rendering.
MAX_WORK = 200_000
# Of what goes into a filter, or comes out of it; about its characters.
MAX_VALUE = 32 * 1024
MAX_RANGE = 1_000
MAX_DATE = 200
MAX_INTEGER_BITS = 1100
# Characters of a tag, and brackets in it: the parser's time is quadratic in them.
MAX_TAG = 2_000
MAX_BRACKETS = 20
MAX_BLANKS = 500
# Characters that a unit of work goes through.
STRIDE = 16
# The same of text that is only copied.
TEXT_STRIDE = 256

TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
BLANKS = re.compile(rf"\s{{{MAX_BLANKS},}}")
# What the lexer looks for to the end of the source wherever one begins.
PAIRS = (
    (re.compile(r"\{\{"), re.compile(r"\}\}")),
    (re.compile(r"\{%"), re.compile(r"%\}")),
    (re.compile(r"\{%-?\s*raw\b"), re.compile(r"\{%-?\s*endraw\b")),
    (re.compile(r"\{%-?\s*doc\b"), re.compile(r"\{%-?\s*enddoc\b")),
)


class OverLimit(ResourceLimitError):
    def __init__(self, what: str) -> None:
        super().__init__(f"too much work: {what}", token=None)


class Work(NotingContext):
    """A rendering that counts its work."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.left = MAX_WORK

    def spend(self, units: int) -> None:
        self.left -= units
        if self.left < 0:
            raise OverLimit("the template takes too long")

    def raise_for_loop_limit(self, length: int = 1) -> None:
        super().raise_for_loop_limit(length)
        # The body of the loop is at most the whole template.
        cost = self.template.cost if isinstance(self.template, Bounded) else 1
        self.spend(length * cost)

    def assign(self, key: str, val: Any) -> None:
        self.spend(1 + weight(val) // STRIDE)
        super().assign(key, val)

    def ifchanged(self, val: str) -> bool:
        self.spend(1 + len(val) // STRIDE)
        return super().ifchanged(val)

    def filter(self, name: str, token: Token | None) -> Callable[..., object]:
        found = super().filter(name, token)

        def limited(left: object, *args: object, **kwargs: object) -> object:
            self.spend(10 + weight([left, *args, *kwargs.values()]) // STRIDE)
            self.spend(dear(name, left, args))
            result = found(left, *args, **kwargs)
            self.spend(weight(result) // STRIDE)
            return result

        return limited


class Bounded(BoundTemplate):
    context_class: ClassVar[type[RenderContext]] = Work  # type: ignore[misc]
    # Units of work that one pass over all of it takes, filters aside.
    cost: int = 1

    def run(self, variables: Mapping[str, Any], *, work: int) -> tuple[str, Work]:
        """The text, and the rendering with the work that is left of `work` units. Raises LiquidError."""
        rendering = Work(self, globals=self.make_globals(dict(variables)))
        rendering.left = work
        buffer = self._get_buffer()
        self.render_with_context(rendering, buffer)
        return buffer.getvalue(), rendering


def dear(name: str, left: object, args: tuple[object, ...]) -> int:
    """The work of a filter, besides what goes in and comes out. Raises OverLimit before it is begun."""
    if name == "replace" and args:
        text, sought, put = str(left), str(args[0]), str(args[1]) if len(args) > 1 else ""
        if len(text) + text.count(sought) * len(put) > MAX_VALUE:
            raise OverLimit("a replacement is too long")
    elif name == "join" and isinstance(left, list | tuple) and args:
        if len(left) * len(str(args[0])) > MAX_VALUE:
            raise OverLimit("a joined text is too long")
    elif name == "date":
        if any(len(one) > MAX_DATE for one in (left, *args) if isinstance(one, str)):
            raise OverLimit("a date is too long")
        return 100
    elif name == "uniq" and isinstance(left, list | tuple):
        # It holds each against every other.
        return len(left) ** 2 // 20
    return 0


def weight(value: object) -> int:
    """About the characters of a value, and of all that is in it. Raises OverLimit past MAX_VALUE."""
    total, left = 0, [value]
    while left:
        one = left.pop()
        if isinstance(one, str | bytes):
            total += len(one)
        elif isinstance(one, list | tuple | dict | range):
            total += 8 + 8 * len(one)
        elif isinstance(one, int) and one.bit_length() > MAX_INTEGER_BITS:
            raise OverLimit("a number is too large")
        else:
            total += 8
        if total > MAX_VALUE:
            raise OverLimit("a value is too large")
        if isinstance(one, dict):
            left.extend([*one.keys(), *one.values()])
        elif isinstance(one, list | tuple):
            left.extend(one)
    return total


def bounded_range(self: RangeLiteral, start: Any, stop: Any) -> range:
    first, last = bound(start), bound(stop)
    if last - first >= MAX_RANGE:
        raise OverLimit(f"a range has more than {MAX_RANGE} numbers")
    return range(first, last + 1) if first <= last else range(0)


def bound(value: Any) -> int:
    try:
        return to_int(value)
    except (ValueError, TypeError):
        return 0


# The one place: a range is listed before any limit of the environment is asked.
RangeLiteral._make_range = bounded_range  # type: ignore[method-assign]


def check_source(source: str) -> None:
    """Refuses, in linear time, what the parser would take seconds for. Raises LiquidSyntaxError."""
    for opening, closing in PAIRS:
        opened = last(opening, source)
        if opened is not None and opened > (last(closing, source) or -1):
            raise refusal(f"{source[opened : opened + 2]!r} is not closed", source, opened)
    blanks = BLANKS.search(source)
    if blanks is not None:
        raise refusal(f"more than {MAX_BLANKS} blanks in a row", source, blanks.start())
    for tag in TAG.finditer(source):
        text = tag[0]
        if len(text) > MAX_TAG or text.count("(") + text.count("[") > MAX_BRACKETS:
            raise refusal("a tag is too long, or has too many brackets", source, tag.start())


def last(pattern: re.Pattern[str], source: str) -> int | None:
    place = None
    for found in pattern.finditer(source):
        place = found.start()
    return place


def refusal(detail: str, source: str, place: int) -> LiquidSyntaxError:
    return LiquidSyntaxError(detail, token=Token("", "", place, source))


def cost(source: str) -> int:
    """Of one pass over it. Text is copied; what is in tags is evaluated."""
    return 1 + len(source) // TEXT_STRIDE + sum(len(tag[0]) for tag in TAG.finditer(source))


class Limited(Environment):
    template_class: ClassVar[type[BoundTemplate]] = Bounded  # type: ignore[misc]
    output_stream_limit: ClassVar[int | None] = 128 * 1024
    loop_iteration_limit: ClassVar[int | None] = 1_000
    local_namespace_limit: ClassVar[int | None] = 64 * 1024
    context_depth_limit: ClassVar[int] = 20
    block_nesting_limit: ClassVar[int] = 20
