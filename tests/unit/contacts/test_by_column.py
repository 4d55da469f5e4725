"""Rows that are read column by column come out as those that are read alone."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from formats.records import Broken, Record
from services.contacts.imports.plan import Column, Plan
from services.contacts.imports.record import RowError
from services.contacts.imports.rows import KNOWN, Draft, Read, RowReader

TARGETS = (
    "phone", "email", "name", "first_name", "last_name", "external_id", "tags", "country", "stage", "do_not_disturb",
    "metadata", "metadata_json", "",
)  # fmt: skip
# Of every kind, right and wrong ones, so that few values meet often.
CELLS = st.sampled_from((
    "", " ", "+12015550123", "+1 (201) 555-0124", "call me", "ann@example.org", "ANN@gmail.com ", "Ann", "Ann  van Lee",
    "'+12015550125", "'=1+1", "O'Brien", "a,b", '"a,b",c', "x" * 300, "y" * 20_000, "yes", "no", "DE", "Germany",
    "n\0l", '{"a": 1}', "0170 1234567", "4.915123456789E+12",
))  # fmt: skip
PLANS = st.builds(
    lambda targets, kind, tags, region: Plan(
        encoding="utf-8",
        delimiter=",",
        preamble=1,
        columns=tuple(Column(f"title {at % 3}", target) for at, target in enumerate(targets)),
        kind=kind,
        tags=tags,
        default_region=region,
    ),
    st.lists(st.sampled_from(TARGETS), min_size=1, max_size=6),
    st.sampled_from(("csv", "vcard")),
    st.sampled_from(((), ("vip",))),
    st.sampled_from((None, "DE")),
)
PLAIN = Plan(
    encoding="utf-8",
    delimiter=",",
    preamble=1,
    columns=tuple(Column(target, target) for target in ("phone", "name", "email", "tags", "stage", "metadata")),
)


def records(rows: Sequence[list[str] | Broken]) -> list[Record]:
    return list(enumerate(rows, start=2))


def alone(plan: Plan, given_records: Sequence[Record], known: Sequence[bool]) -> list[Read]:
    reader = RowReader(plan)
    reader._by_column = None
    return reader.read_all(given_records, known)


def comparable(outcomes: Sequence[Read]) -> list[Read]:
    """Without ids and times, which differ each time."""
    now, nobody = datetime(2000, 1, 1, tzinfo=UTC), UUID(int=1)
    return [
        replace(one, contact=replace(one.contact, id=nobody, created_at=now, updated_at=now))
        if isinstance(one, Draft)
        else one
        for one in outcomes
    ]


def rows_of(width: int) -> st.SearchStrategy[list[list[str] | Broken]]:
    whole = st.lists(CELLS, min_size=width, max_size=width)
    return st.lists(whole | st.lists(CELLS, min_size=1, max_size=width + 2) | st.just(Broken("no row")), max_size=12)


@settings(deadline=None)
@given(st.data(), PLANS, st.sets(st.integers(0, 11)))
def test_as_rows_that_are_read_alone(data, plan, there):
    """there: whose contacts are known to be there, if they have a phone."""
    given_records = records(data.draw(rows_of(len(plan.columns))))
    reader = RowReader(plan)
    known = [at in there and phone is not None for at, phone in enumerate(reader.phones_of(given_records))]
    assert comparable(reader.read_all(given_records, known)) == comparable(alone(plan, given_records, known))


FAULTS = {"name": "x" * 300, "email": "no email", "tags": "x" * 65, "stage": "n\0l", "metadata": "y" * 20_000}


@pytest.mark.parametrize("faulty", FAULTS)
def test_a_known_row_is_refused_for_what_is_wrong_beside_its_phone(faulty):
    cells = {"phone": "+12015550123", "name": "Ann", "email": "a@b.org", "tags": "a", "stage": "", "metadata": "z"}
    given_records = records([list(cells.values()), list((cells | {faulty: FAULTS[faulty]}).values())])
    fine, refused = RowReader(PLAIN).read_all(given_records, [True, True])
    assert fine is KNOWN
    assert isinstance(refused, RowError)
    assert [refused] == alone(PLAIN, given_records[1:], [True])


def test_blanks_behind_an_apostrophe_are_none_of_the_text():
    draft = RowReader(PLAIN).read_all(records([["+12015550123", "Ann", "", "", "'\tgold", ""]]))[0]
    assert isinstance(draft, Draft)
    assert draft.contact.stage == "gold"


def test_ids_rise_in_the_order_of_the_file():
    """An undo finds the contacts of an import between the first and the last id."""
    rows = [[f"+1201555{n:04}", "Ann", "", "", "", ""][: 5 + n % 2] for n in range(100)]
    read = RowReader(PLAIN).read_all(records(rows))
    made = [draft.contact.id for draft in read if isinstance(draft, Draft)]
    assert len(made) == len(rows)
    assert made == sorted(made)


@pytest.mark.parametrize("target", ["metadata_json", "first_name"])
def test_files_whose_cells_lean_on_one_another_are_read_row_by_row(target):
    assert RowReader(PLAIN)._by_column is not None
    assert RowReader(replace(PLAIN, columns=(*PLAIN.columns, Column(target, target))))._by_column is None
