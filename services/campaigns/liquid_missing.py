"""What is printed and has no value: noted while rendering, so that nobody gets a message with a hole in it."""

from typing import TextIO

from liquid import Environment, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression, Path
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.echo_tag import EchoTag
from liquid.expression import Expression
from liquid.stringify import to_liquid_string
from liquid.token import Token
from liquid.undefined import is_undefined

DEFAULT = "default"
MAX_NAME = 100


class NotingContext(RenderContext):
    """A rendering that knows what it had nothing to print for, in the order of the text."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.missing: dict[str, None] = {}

    def is_given(self, root: object) -> bool:
        """Whether it comes from outside, if it comes from anywhere: not assigned, and not of a loop."""
        return isinstance(root, str) and root not in self.locals and (root in self.globals or root not in self.scope)


class NotingNode(OutputNode):
    """Prints an expression. A variable from outside that is absent, null or blank and has no `default` is noted."""

    __slots__ = ("filtered", "printed")

    def __init__(self, token: Token, expression: Expression) -> None:
        super().__init__(token, expression)
        self.filtered = expression if isinstance(expression, FilteredExpression) else None
        left = None if self.filtered is None else self.filtered.left
        has_default = self.filtered is not None and any(one.name == DEFAULT for one in self.filtered.filters or ())
        self.printed = left if isinstance(left, Path) and not has_default else None

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        if self.printed is None or self.filtered is None:
            return super().render_to_output(context, buffer)
        value = self.printed.evaluate(context)
        if is_nothing(value) and isinstance(context, NotingContext) and context.is_given(self.printed.head()):
            context.missing[str(self.printed)[:MAX_NAME]] = None
        for one in self.filtered.filters or ():
            value = one.evaluate(value, context)
        return buffer.write(to_liquid_string(value, context.autoescape))


def is_nothing(value: object) -> bool:
    return value is None or is_undefined(value) or (isinstance(value, str) and not value.strip())


class NotingOutput(Output):
    node_class: type[Node] = NotingNode  # type: ignore[assignment]


class NotingEcho(EchoTag):
    node_class: type[Node] = NotingNode  # type: ignore[assignment]


def note_missing(environment: Environment) -> None:
    """Of every template that the environment parses from here on."""
    environment.add_tag(NotingOutput)
    environment.add_tag(NotingEcho)
