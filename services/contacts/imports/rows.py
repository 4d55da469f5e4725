"""Makes contacts of a file's rows, by the same rules as a single create."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from chassis import ids
from services.contacts.domain import tags
from services.contacts.domain.contact import Contact, Patch, fill
from services.contacts.domain.identity import Key, pairs
from services.contacts.domain.problems import Problem, Refused, invalid
from services.contacts.imports.plan import Plan
from services.contacts.imports.reader import Broken, Record
from services.contacts.imports.record import RowError
from services.contacts.intake import read_patch

TRUE = frozenset({"true", "yes", "y", "1", "x"})
FALSE = frozenset({"false", "no", "n", "0"})
# Where a row has several faults, the one named is the one that matters most for who it is about.
WEIGHT = ("invalid_phone", "invalid_email", "identity_required")


@dataclass(frozen=True, slots=True)
class Draft:
    """A row that can be imported: what it writes, and the contact that it makes if nobody has its keys."""

    row: int
    patch: Patch
    contact: Contact
    keys: list[tuple[Key, str]]


class RowReader:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._fields = [
            (at, column.target) for at, column in enumerate(plan.columns) if column.target not in ("", "metadata")
        ]
        self._extras = [(at, column.title) for at, column in enumerate(plan.columns) if column.target == "metadata"]
        self._titles = {column.target: column.title for column in plan.columns if column.target != "metadata"}

    def read_all(self, records: Sequence[Record]) -> list[Draft | RowError | None]:
        """One outcome a record; None for a blank row, which counts for nothing."""
        now = datetime.now(UTC)
        return [self._read(record, now) for record in records]

    def _read(self, record: Record, now: datetime) -> Draft | RowError | None:
        row = record[0] - self._plan.preamble
        cells = record[1]
        if isinstance(cells, Broken):
            return RowError(row, "validation_failed", cells.reason)
        if not any(cells) or not any(map(str.strip, cells)):
            return None
        try:
            patch = read_patch(self._raw(cells), region=self._plan.default_region)
            contact = Contact(id=ids.new(), created_at=now, updated_at=now)
            fill(contact, patch)
        except Refused as refused:
            return self.error(row, refused)
        return Draft(row, patch, contact, pairs(contact))

    def _raw(self, cells: list[str]) -> dict[str, object]:
        """Cells that say something, by field. Raises Refused."""
        width = len(self._plan.columns)
        if len(cells) > width and any(map(str.strip, cells[width:])):
            raise Refused(invalid("", "The row has more cells than the header; quote cells that hold the delimiter"))
        present = len(cells)
        raw: dict[str, object] = {
            field: cell for at, field in self._fields if at < present and (cell := cells[at].strip())
        }
        extras = {title: cell for at, title in self._extras if at < present and (cell := cells[at].strip())}
        if extras:
            raw["metadata"] = extras
        if "tags" in raw or self._plan.tags:
            raw["tags"] = tags.parse_cell(str(raw.get("tags", ""))) + list(self._plan.tags)
        if "do_not_disturb" in raw:
            raw["do_not_disturb"] = read_flag("do_not_disturb", str(raw["do_not_disturb"]))
        return raw

    def error(self, row: int, refused: Refused) -> RowError:
        worst = min(refused.problems, key=weight)
        column = self._titles.get(worst.pointer.split("/")[1], "") if worst.pointer else ""
        return RowError(row, worst.code, worst.detail, column)


def weight(problem: Problem) -> int:
    return WEIGHT.index(problem.code) if problem.code in WEIGHT else len(WEIGHT)


def read_flag(field: str, cell: str) -> bool:
    word = cell.lower()
    if word not in TRUE and word not in FALSE:
        raise Refused(invalid(field, f"{field} is neither yes nor no."))
    return word in TRUE


def parted(outcomes: Sequence[Draft | RowError | None]) -> tuple[list[Draft], list[RowError]]:
    drafts = [outcome for outcome in outcomes if isinstance(outcome, Draft)]
    return drafts, [outcome for outcome in outcomes if isinstance(outcome, RowError)]
