"""A contact's tags: a set that keeps the order in which they came."""

import csv
import io
from collections.abc import Iterable

from services.contacts.domain import limits
from services.contacts.domain.problems import Problem, Refused, invalid


def clean(tags: Iterable[str]) -> list[str]:
    """Trimmed, without repeats, in order. Raises Refused for an empty or over-long tag, or too many."""
    kept = list(dict.fromkeys([tag.strip() for tag in tags]))
    problems = [problem for at, tag in enumerate(kept) if (problem := fault(tag, at)) is not None]
    if len(kept) > limits.TAGS:
        problems.append(invalid("tags", f"A contact has at most {limits.TAGS} tags."))
    if problems:
        raise Refused(*problems)
    return kept


def fault(tag: str, at: int) -> Problem | None:
    if not tag:
        return invalid(f"tags/{at}", "A tag is empty.")
    if len(tag) > limits.TAG_CHARACTERS:
        return invalid(f"tags/{at}", f"A tag has at most {limits.TAG_CHARACTERS} characters.")
    if "\0" in tag:
        return invalid(f"tags/{at}", "A tag has a NUL character.")
    return None


def add(present: list[str], more: Iterable[str]) -> list[str]:
    """Both, those present first. Raises Refused when they become too many."""
    together = list(dict.fromkeys([*present, *more]))
    if len(together) > limits.TAGS:
        raise Refused(invalid("tags", f"A contact has at most {limits.TAGS} tags."))
    return together


def parse_cell(cell: str) -> list[str]:
    """The tags of a CSV cell: comma separated, empty ones dropped; one that holds a comma stands in quotes."""
    parts = quoted(cell) if '"' in cell else cell.split(",")
    return [tag for part in parts if (tag := part.strip())]


def quoted(cell: str) -> list[str]:
    try:
        return [part for row in csv.reader(io.StringIO(cell, newline=""), skipinitialspace=True) for part in row]
    except csv.Error:
        # Longer than any tags are.
        return cell.split(",")
