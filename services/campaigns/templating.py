"""Liquid with limits: what a customer writes can neither run for long nor grow without bound."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from liquid.exceptions import LiquidError, ResourceLimitError

from services.campaigns.domain.content import WhatsApp
from services.campaigns.domain.recipient import Reason
from services.campaigns.liquid_limits import MAX_WORK, Bounded, Limited, check_source, cost
from services.campaigns.liquid_missing import note_missing
from services.campaigns.providers.port import WhatsAppTemplate

MAX_BODY_BYTES = 64 * 1024
# Tags that read other templates: there are none to read.
FORBIDDEN_TAGS = ("include", "render")
# What every message is given besides its recipient's variables.
PROVIDED = frozenset({"unsubscribe_url"})


def environment(*, autoescape: bool) -> Limited:
    made = Limited(autoescape=autoescape)
    for tag in FORBIDDEN_TAGS:
        del made.tags[tag]
    note_missing(made)
    return made


ENVIRONMENT = environment(autoescape=False)
# What variables hold is text: `<` is written `&lt;`. The filter `safe` lets HTML through.
HTML_ENVIRONMENT = environment(autoescape=True)


class TemplateError(Exception):
    """A template that does not parse, or could not be rendered. `line` counts from 1.

    over_limits: it takes more time or memory than a template may.
    """

    def __init__(self, detail: str, *, line: int, over_limits: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.line = line
        self.over_limits = over_limits

    @property
    def reason(self) -> str:
        """Why a recipient is skipped."""
        return Reason.TEMPLATE_ERROR


class MissingVariable(TemplateError):
    """The message prints a variable that the recipient has no value for, and that has no default."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is no {name}", line=1)
        self.name = name

    @property
    def reason(self) -> str:
        """With the variable's name: `missing_variable:code`."""
        return f"{Reason.MISSING_VARIABLE}:{self.name}"


@dataclass(frozen=True, slots=True)
class Message:
    text: str
    subject: str | None
    html: str | None = None
    template: WhatsAppTemplate | None = None


class Text:
    """What a template says, parsed once and rendered for many."""

    def __init__(
        self, body: str, subject: str | None = None, *, html: str | None = None, whatsapp: WhatsApp | None = None
    ) -> None:
        """Raises TemplateError."""
        self._body = parse(body)
        self._subject = None if subject is None else parse(subject)
        self._html = None if html is None else parse(html, HTML_ENVIRONMENT)
        self._whatsapp = whatsapp
        self._parameters = [] if whatsapp is None else [parse(one) for one in whatsapp.parameters]

    @property
    def variables(self) -> list[str]:
        """The names at the root of what is printed or tested: `metadata` for `{{ metadata.plan }}`."""
        parts = [self._body, self._subject, self._html, *self._parameters]
        names = {name for one in parts if one is not None for name in one.analyze(include_partials=False).globals}
        return sorted(names - PROVIDED)

    def render(self, variables: Mapping[str, Any]) -> Message:
        """Raises MissingVariable, TemplateError."""
        message, missing = self.preview(variables)
        if missing:
            raise MissingVariable(missing[0])
        return message

    def preview(self, variables: Mapping[str, Any]) -> tuple[Message, list[str]]:
        """The message with nothing where a variable is missing, and the names of those. Raises TemplateError."""
        rendering = Rendering(variables)
        try:
            message = Message(
                text=rendering.of(self._body),
                # Headers and WhatsApp's places are one line each.
                subject=None if self._subject is None else one_line(rendering.of(self._subject)),
                html=None if self._html is None else rendering.of(self._html),
                template=None if self._whatsapp is None else self._filled(self._whatsapp, rendering),
            )
        except LiquidError as error:
            raise explained(error) from error
        except Exception as error:
            # What a filter makes of a value that it was not written for: any exception there is.
            raise TemplateError(f"cannot be rendered: {type(error).__name__}", line=1) from error
        return message, list(rendering.missing)

    def _filled(self, whatsapp: WhatsApp, rendering: "Rendering") -> WhatsAppTemplate:
        parameters = tuple(one_line(rendering.of(one)) for one in self._parameters)
        return WhatsAppTemplate(whatsapp.name, whatsapp.language, parameters)

    def try_out(self) -> None:
        """Raises TemplateError where it goes over the limits with no variables at all.

        Other faults may be for want of the variables.
        """
        try:
            self.preview({})
        except TemplateError as error:
            if error.over_limits:
                raise


class Rendering:
    """The parts of one message: they share the work that it may take."""

    def __init__(self, variables: Mapping[str, Any]) -> None:
        self._variables = variables
        self._left = MAX_WORK
        self.missing: dict[str, None] = {}

    def of(self, template: Bounded) -> str:
        text, rendered = template.run(self._variables, work=self._left)
        self._left = rendered.left
        self.missing |= rendered.missing
        return text


def one_line(text: str) -> str:
    return " ".join(text.split())


def parse(source: str, language: Limited = ENVIRONMENT) -> Bounded:
    """Raises TemplateError, also for an unknown filter."""
    try:
        check_source(source)
        template = language.from_string(source)
        assert isinstance(template, Bounded)
        template.cost = cost(source)
        unknown = sorted(set(template.analyze(include_partials=False).filters) - set(language.filters))
    except LiquidError as error:
        raise explained(error) from error
    except RecursionError as error:
        raise TemplateError("nested too deeply", line=1) from error
    except Exception as error:
        raise TemplateError(f"cannot be read: {type(error).__name__}", line=1) from error
    if unknown:
        spans = template.analyze(include_partials=False).filters[unknown[0]]
        line = source.count("\n", 0, spans[0].index) + 1 if spans else 1
        raise TemplateError(f"unknown filter {unknown[0]!r}", line=line)
    return template


def explained(error: LiquidError) -> TemplateError:
    context = error.context()
    return TemplateError(
        str(error.message or type(error).__name__),
        line=context[0] if context else 1,
        over_limits=isinstance(error, ResourceLimitError),
    )
