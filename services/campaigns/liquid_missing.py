"""What is printed and has no value: noted while rendering, so that nobody gets a message with a hole in it."""

from typing import TextIO

from liquid import Environment, RenderContext
from liquid.ast import Node
from liquid.builtin.expressions import FilteredExpression, Identifier, Path
from liquid.builtin.output import Output, OutputNode
from liquid.builtin.tags.assign_tag import AssignNode, AssignTag
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
        # What was missing when one of the template's own variables was made of it, by the name of that.
        self.holes: dict[str, str] = {}

    def assign(self, key: str, val: object) -> None:
        super().assign(key, val)
        self.holes.pop(key, None)

    def lacking(self, path: Path, value: object) -> str | None:
        """The variable from outside that a path, which was found to hold the value, has nothing for; None: there is
        something, or it is of a loop."""
        root = path.head()
        if not isinstance(root, str):
            return None
        if root in self.locals:
            # A loop may have a variable of the same name.
            is_own = self.scope[root] is self.locals[root]
            return self.holes.get(root) if is_own else None
        is_given = root in self.globals or root not in self.scope
        return str(path)[:MAX_NAME] if is_given and is_nothing(value) else None


class NotingNode(OutputNode):
    """Prints an expression. A variable from outside that is absent, null or blank and has no `default` is noted."""

    __slots__ = ("filtered", "printed")

    def __init__(self, token: Token, expression: Expression) -> None:
        super().__init__(token, expression)
        self.filtered = expression if isinstance(expression, FilteredExpression) else None
        self.printed = without_default(expression)

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        if self.printed is None or self.filtered is None:
            return super().render_to_output(context, buffer)
        value = self.printed.evaluate(context)
        if isinstance(context, NotingContext) and (name := context.lacking(self.printed, value)) is not None:
            context.missing[name] = None
        for one in self.filtered.filters or ():
            value = one.evaluate(value, context)
        return buffer.write(to_liquid_string(value, context.autoescape))


class NotingAssign(AssignNode):
    """Makes a variable; what was missing for it is noted where that is printed."""

    __slots__ = ("made_of",)

    def __init__(self, token: Token, *, name: Identifier, expression: Expression) -> None:
        super().__init__(token, name=name, expression=expression)
        self.made_of = without_default(expression)

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        name = None
        if self.made_of is not None and isinstance(context, NotingContext):
            name = context.lacking(self.made_of, self.made_of.evaluate(context))
        written = super().render_to_output(context, buffer)
        if name is not None and isinstance(context, NotingContext):
            context.holes[self.name] = name
        return written


def without_default(expression: Expression) -> Path | None:
    """The variable that an expression shows; None: none, or one with a `default`."""
    if not isinstance(expression, FilteredExpression) or not isinstance(expression.left, Path):
        return None
    return None if any(one.name == DEFAULT for one in expression.filters or ()) else expression.left


def is_nothing(value: object) -> bool:
    return value is None or is_undefined(value) or (isinstance(value, str) and not value.strip())


class NotingOutput(Output):
    node_class: type[Node] = NotingNode  # type: ignore[assignment]


class NotingEcho(EchoTag):
    node_class: type[Node] = NotingNode  # type: ignore[assignment]


class NotingAssignTag(AssignTag):
    node_class = NotingAssign


def note_missing(environment: Environment) -> None:
    """Of every template that the environment parses from here on."""
    environment.add_tag(NotingOutput)
    environment.add_tag(NotingEcho)
    environment.add_tag(NotingAssignTag)
