"""A field that cannot be taken, as the domain says it; `errors.py` makes the wire's error of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """`pointer` is a JSON pointer into the contact; `code` a reason of carillon.errors.v1 in lower case."""

    pointer: str
    code: str
    detail: str


class Refused(ValueError):
    """One or more fields cannot be taken; nothing was changed."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.detail for problem in problems))
        self.problems = problems


def invalid(field: str, detail: str) -> Problem:
    """A value that breaks a rule without a reason of its own."""
    return Problem(f"/{field}", "validation_failed", detail)
