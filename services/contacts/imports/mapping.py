"""What a client wants done with the columns of its file: the suggestion, changed where it says so."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from chassis.pointers import escaped
from services.contacts.domain.problems import Problem, Refused, invalid
from services.contacts.imports.columns import TITLE_CHARACTERS
from services.contacts.imports.plan import Column
from services.contacts.imports.titles import SYNONYMS

METADATA = "metadata."
SKIP = "skip"
PLACE = re.compile(r"#([1-9][0-9]{0,3})", re.ASCII)


class Unfit(ValueError):
    """What is wrong with the choice of one column."""


@dataclass(frozen=True, slots=True)
class Choice:
    """For one column, by its title, or `#1` for the first one and so on. `target` empty: as suggested."""

    column: str
    target: str
    keep_existing: bool


def target_text(column: Column) -> str:
    """As clients know it: a field, `tags`, `metadata.KEY` or `skip`."""
    if column.target == "metadata":
        return METADATA + (column.key or column.title)
    return column.target or SKIP


def choose(columns: Sequence[Column], choices: Sequence[Choice]) -> tuple[Column, ...]:
    """Columns that are not named stay as they are, unless a chosen one takes their target. Raises Refused."""
    chosen: dict[int, Column] = {}
    problems: list[Problem] = []
    for choice in choices:
        pointer = "mapping/" + escaped(choice.column)
        try:
            place = place_of(columns, choice.column)
            if place in chosen:
                raise Unfit("The column is named twice.")
            chosen[place] = changed(columns[place], choice)
        except Unfit as unfit:
            problems.append(invalid(pointer, str(unfit)))
    taken = [target_text(column) for column in chosen.values()]
    problems += [invalid("mapping", f"Two columns are to be {twice}.") for twice in repeated(taken)]
    if problems:
        raise Refused(*problems)
    return tuple(chosen.get(place, without(column, taken)) for place, column in enumerate(columns))


def place_of(columns: Sequence[Column], named: str) -> int:
    titles = [column.title for column in columns]
    if named.strip() in titles:
        return titles.index(named.strip())
    by_place = PLACE.fullmatch(named)
    if by_place is None or int(by_place[1]) > len(columns):
        raise Unfit("The file has no such column.")
    return int(by_place[1]) - 1


def changed(column: Column, choice: Choice) -> Column:
    target, key = choice.target, ""
    if not target:
        target, key = column.target, column.key
    elif target == SKIP:
        target = ""
    elif target.startswith(METADATA):
        target, key = "metadata", target.removeprefix(METADATA).strip()
        if not key or len(key) > TITLE_CHARACTERS or "\0" in key:
            raise Unfit(f"A key of the metadata has 1 to {TITLE_CHARACTERS} characters.")
    elif target not in SYNONYMS:
        raise Unfit(f"{target[:64]!r} is no field, tags, metadata.KEY or skip.")
    return Column(column.title, target, key, choice.keep_existing)


def without(column: Column, taken: Sequence[str]) -> Column:
    return replace(column, target="") if target_text(column) in taken else column


def repeated(targets: Sequence[str]) -> list[str]:
    return [target for target in dict.fromkeys(targets) if target != SKIP and targets.count(target) > 1]
