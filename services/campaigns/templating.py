"""Liquid with limits: what a customer writes can neither run for long nor grow without bound."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from liquid import BoundTemplate
from liquid.exceptions import LiquidError, ResourceLimitError

from services.campaigns.liquid_limits import Bounded, Limited, check_source, cost

MAX_BODY_BYTES = 64 * 1024
# Tags that read other templates: there are none to read.
FORBIDDEN_TAGS = ("include", "render")


ENVIRONMENT = Limited()
for tag in FORBIDDEN_TAGS:
    del ENVIRONMENT.tags[tag]


class TemplateError(Exception):
    """A template that does not parse, or could not be rendered. `line` counts from 1.

    over_limits: it takes more time or memory than a template may.
    """

    def __init__(self, detail: str, *, line: int, over_limits: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.line = line
        self.over_limits = over_limits


@dataclass(frozen=True, slots=True)
class Message:
    text: str
    subject: str | None


class Text:
    """A body and, for email, a subject, parsed once and rendered for many."""

    def __init__(self, body: str, subject: str | None) -> None:
        """Raises TemplateError."""
        self._body = parse(body)
        self._subject = None if subject is None else parse(subject)

    @property
    def variables(self) -> list[str]:
        """The names at the root of what is printed or tested: `metadata` for `{{ metadata.plan }}`."""
        templates = [self._body] if self._subject is None else [self._body, self._subject]
        return sorted({name for template in templates for name in template.analyze(include_partials=False).globals})

    def render(self, variables: Mapping[str, Any]) -> Message:
        """Raises TemplateError."""
        try:
            subject = None if self._subject is None else self._subject.render(variables)
            return Message(self._body.render(variables), subject)
        except LiquidError as error:
            raise explained(error) from error
        except Exception as error:
            # What a filter makes of a value that it was not written for: any exception there is.
            raise TemplateError(f"cannot be rendered: {type(error).__name__}", line=1) from error

    def try_out(self) -> None:
        """Raises TemplateError where it goes over the limits with no variables at all.

        Other faults may be for want of the variables.
        """
        try:
            self.render({})
        except TemplateError as error:
            if error.over_limits:
                raise


def parse(source: str) -> BoundTemplate:
    """Raises TemplateError, also for an unknown filter."""
    try:
        check_source(source)
        template = ENVIRONMENT.from_string(source)
        assert isinstance(template, Bounded)
        template.cost = cost(source)
        unknown = sorted(set(template.analyze(include_partials=False).filters) - set(ENVIRONMENT.filters))
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
