"""What can be wrong with a rule, whichever way it is written."""

from collections.abc import Sequence
from dataclasses import dataclass

MAX_VALUE = 1024
MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class Fault:
    """Where a rule is wrong: a JSON pointer to the part of the leaf, and a sentence."""

    pointer: str
    detail: str


class InvalidRule(Exception):
    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(faults[0].detail)
        self.faults = tuple(faults)


def fault_of_text(value: str) -> str:
    """What is wrong with a text to compare with; empty where nothing is."""
    if not value:
        return "A value must not be empty."
    if len(value) > MAX_VALUE:
        return f"A value has at most {MAX_VALUE} characters."
    if "\0" in value:
        return "A value must not contain the character NUL."
    if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
        return "A value must be valid Unicode."
    return ""


def fault_of_name(name: str) -> str:
    """What is wrong with a segment's name; empty where nothing is."""
    if not name.strip():
        return "A segment needs a name."
    if len(name) > MAX_NAME:
        return f"A name has at most {MAX_NAME} characters."
    if "\0" in name:
        return "A name must not contain the character NUL."
    return ""
