"""Workbooks: what a person sees in a cell is what is read, and hostile ones end in a plain error."""

import io
import random
import tempfile
from contextlib import aclosing
from datetime import datetime, timedelta

import pytest
import python_calamine
from hypothesis import given
from hypothesis import strategies as st

from formats import records
from formats.layout import Empty
from formats.records import Broken, Unreadable
from formats.stream import open_table
from formats.xlsx import archive, child, reader, workbook
from formats.xlsx.cells import kind_of, number_text
from tests import workbooks

HEADER = ["phone", "name", "tags"]
ADA = ["+14155552671", "Ada", "a,b"]


def known(titles) -> int:
    return sum(title in HEADER for title in titles)


def answers(data: bytes, *arguments: str) -> list[tuple[bytes, bytes]]:
    """What the child says, asked in this process."""
    said: list[tuple[bytes, bytes]] = []
    child.run(arguments, io.BytesIO(data), lambda kind, content: said.append((kind, content)))
    return said


def rows(data: bytes, *, sheet: str = "", width: int = 20, behind: int = 0) -> list:
    said = answers(data, "rows", sheet, str(width), str(behind))
    assert said[-1] == (child.END, b""), said[-1]
    return [record for _, content in said[:-1] for record in child.unpacked(content)[0]]


def reason(data: bytes, task: str = "rows") -> str:
    kind, content = answers(data, task, "", "20", "0" if task == "rows" else "100")[-1]
    assert kind == child.UNREADABLE
    return content.decode()


@pytest.mark.parametrize(
    ("text", "kind", "shown"),
    [
        ("491512345678", "number", "491512345678"),
        ("491512345678.0", "number", "491512345678"),
        ("4.91512345678E11", "number", "491512345678"),
        ("123456789012345678", "number", "123456789012345678"),
        ("0.30000000000000004", "number", "0.3"),
        ("-1.50", "number", "-1.5"),
        ("1E+300", "number", "1e+300"),
        ("no number", "number", "no number"),
        ("45351", "date", "2024-02-29"),
        ("45351.75", "date", "2024-02-29"),
        ("45351.573055556", "datetime", "2024-02-29T13:45:12"),
        ("0.395833333333333", "time", "09:30:00"),
        ("1.25347222222222", "duration", "30:05:00"),
        ("1", "date", "1900-01-01"),
        ("61", "date", "1900-03-01"),
        ("2958465.99999999", "datetime", "9999-12-31T00:00:00"),
        ("99999999", "date", "99999999"),
        ("-1", "date", "-1"),
    ],
)
def test_a_number_is_read_as_it_is_seen(text, kind, shown):
    assert number_text(text, kind) == shown


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("General", "number"),
        ("0.00%", "number"),
        ('0 "days"', "number"),
        ("[Red]0;[Blue]-0", "number"),
        ("#,##0\\ [$USD]", "number"),
        ("dd/mm/yyyy", "date"),
        ("[$-407]d. mmmm yyyy;@", "date"),
        ("yyyy-mm-dd hh:mm", "datetime"),
        ("h:mm AM/PM", "time"),
        ("mm:ss", "time"),
        ("[h]:mm:ss", "duration"),
    ],
)
def test_what_the_numbers_of_a_format_mean(code, kind):
    assert kind_of(200, code) == kind


@given(st.integers(-(10**17), 10**17))
def test_no_digit_of_a_whole_number_is_lost(number):
    assert number_text(str(number), "number") == str(number)


@given(st.datetimes(datetime(1900, 3, 1), datetime(9999, 12, 30)), st.booleans())
def test_a_moment_comes_back_to_the_second(moment, epoch_1904):
    moment = moment.replace(microsecond=0)
    epoch = datetime(1904, 1, 1) if epoch_1904 else datetime(1899, 12, 30)
    days = (moment - epoch) / timedelta(days=1)
    if days >= 0:
        assert number_text(repr(days), "datetime", epoch_1904=epoch_1904) == moment.isoformat()


# A spreadsheet's largest number is a little smaller than ours.
@given(st.floats(-9.99e307, 9.99e307))
def test_a_number_keeps_what_a_spreadsheet_keeps_of_it(value):
    assert float(number_text(repr(value), "number")) == pytest.approx(value, rel=1e-14)


PRINTABLE = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=8)
# A space at an end is no part of what is compared; the other reader drops it at times.
VALUES = st.one_of(st.none(), st.booleans(), st.integers(0, 10**14), PRINTABLE.map(str.strip))


@given(st.lists(st.lists(VALUES, max_size=6), max_size=6))
def test_two_readers_read_the_same(table):
    """Ours against calamine, on what both promise."""
    data = workbooks.table(table)
    theirs = python_calamine.load_workbook(io.BytesIO(data)).get_sheet_by_index(0).to_python(skip_empty_area=False)
    shown = [[as_text(value) for value in row] for row in theirs]
    ours = dict(rows(data))
    for number, row in enumerate(shown, 1):
        width = max((at for at, text in enumerate(row, 1) if text), default=0)
        assert padded(ours.get(number, []), width) == row[:width]


def padded(cells: list[str], width: int) -> list[str]:
    return [*cells, *[""] * (width - len(cells))][:width]


def as_text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) else str(value)


def test_shared_rich_and_escaped_texts_and_formulas():
    strings = (
        "<sst><si><t>plain</t></si><si><r><t>ri</t></r><r><t xml:space='preserve'>ch </t></r><rPh><t>RI</t></rPh></si>"
        "<si><t>a_x000D_b_x005F_x_xD83D__xDE00_</t></si></sst>"
    )
    data = workbooks.workbook(
        {"S": workbooks.sheet([[("s", 0, 0), ("s", 0, 1), ("s", 0, 2)], [("str", 0, "=1"), ("e", 0, "#N/A")]])},
        strings=strings,
    )
    assert rows(data) == [(1, ["plain", "rich ", "a\rb_x\U0001f600"]), (2, ["=1", "#N/A"])]


def test_dates_by_style_and_epoch():
    styles = (
        '<styleSheet><numFmts><numFmt numFmtId="164" formatCode="dd.mm.yyyy"/></numFmts>'
        '<cellStyleXfs><xf numFmtId="22"/></cellStyleXfs><cellXfs><xf numFmtId="0"/><xf numFmtId="164"/></cellXfs>'
        "</styleSheet>"
    )
    for settings, shown in (("", "2024-02-29"), ('<workbookPr date1904="1"/>', "2028-03-01")):
        data = workbooks.workbook(
            {"S": workbooks.sheet([[("n", 0, 45351), ("n", 1, 45351), ("n", 9, 45351)]])},
            styles=styles,
            settings=settings,
        )
        assert rows(data) == [(1, ["45351", shown, "45351"])]


def test_prefixed_elements_and_cells_without_references():
    sheet = "<x:worksheet xmlns:x='y'><x:sheetData><x:row><x:c><x:v>1</x:v></x:c><x:c r='D1'><x:v>2</x:v></x:c></x:row>"
    sheet += "<x:row r='4'><x:c><x:v>3</x:v></x:c></x:row></x:sheetData></x:worksheet>"
    assert rows(workbooks.workbook({"S": sheet})) == [(1, ["1", "", "", "2"]), (4, ["3"])]


async def read(data: bytes, **options) -> list:
    found = []
    async with aclosing(reader.rows(io_file(data), sheet="Contacts", width=3, **options)) as batches:
        async for batch, _ in batches:
            found += batch
    return found


def io_file(data: bytes):
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the child reads it
    file.write(data)
    file.flush()
    return file


async def test_the_header_the_samples_and_the_sheet():
    data = workbooks.workbook(
        {
            "Notes": workbooks.sheet([]),
            "Old": workbooks.sheet([HEADER, ADA]),
            "Contacts": workbooks.sheet([["Customers, May"], [], HEADER, [" +1 ", None, "x", "y"]]),
        },
        hidden=["Old"],
    )
    layout = await reader.inspect(io_file(data), known)
    assert (layout.kind, layout.sheet, layout.preamble, layout.titles) == ("xlsx", "Contacts", 2, tuple(HEADER))
    assert layout.samples == (("+1", "", "x"),)
    assert (await reader.inspect(io_file(data), known, sheet="Old")).sheet == "Old"
    with pytest.raises(Unreadable, match="no sheet 'other'"):
        await reader.inspect(io_file(data), known, sheet="other")


async def test_rows_come_without_gaps_and_from_any_place():
    table = [HEADER, ADA, [], [], ["+1", "x" * 200_000], ["+2", None, "t", "beyond"]]
    whole = await read(workbooks.table(table), size=2)
    assert [number for number, _ in whole] == [1, 2, 3, 4, 5, 6]
    assert whole[:4] == [(1, HEADER), (2, ADA), (3, []), (4, [])]
    assert isinstance(whole[4][1], Broken)
    assert whole[5] == (6, ["+2", "", "t"])
    for behind in range(7):
        assert await read(workbooks.table(table), behind=behind, size=3) == whole[behind:]


async def test_a_workbook_is_read_while_it_streams_in():
    async def pieces():
        data = workbooks.table([["Customers"], HEADER, [], ADA, ["+1", None, None, "beyond"]])
        for start in range(0, len(data), 100):
            yield data[start : start + 100]

    table = await open_table(pieces(), known)
    assert table.layout.titles == tuple(HEADER)
    assert [batch async for batch in table.batches(1)] == [[(3, ADA)], [(4, ["+1"])]]


@pytest.mark.parametrize("table", [[], [[]], [HEADER], [["", ""], HEADER, ["", None]]])
async def test_a_workbook_without_rows_is_empty(table):
    with pytest.raises(Empty):
        await reader.inspect(io_file(workbooks.table(table)), known)


def test_a_bomb_is_counted_not_believed(monkeypatch):
    assert "far larger inside" in reason(workbooks.bomb(130))
    monkeypatch.setattr(archive, "MAX_INFLATED", 1_000_000)
    assert "far larger inside" in reason(workbooks.table([["x"]] * 50_000))


def test_entities_are_refused():
    laughs = '<!DOCTYPE w [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    hostile = workbooks.sheet([["x"]]).replace("?>", f"?>{laughs}", 1).replace(">x<", ">&b;<")
    assert "entities" in reason(workbooks.workbook({"S": hostile}))


@pytest.mark.parametrize(
    ("sheet", "said"),
    [
        (
            "<worksheet><sheetData><row><c r='A1' " + "x" * 3_000_000 + "='1'/></row></sheetData></worksheet>",
            "no table",
        ),
        ("<worksheet><sheetData><row r='1048577'><c><v>1</v></c></row></sheetData></worksheet>", "more than 1048576"),
        ("<worksheet><row>" + "<c r='A1'><v>1</v></c>" * 40 + "</row></worksheet>", "several cells"),
        ("<worksheet><row><c r='A1'><v>1</v>", "damaged"),
        ("<worksheet><row><c r='?1'><v>1</v></c></row></worksheet>", "damaged"),
        ("<worksheet><row><c t='s'><v>7</v></c></row></worksheet>", "damaged"),
    ],
)
def test_sheets_that_are_none(sheet, said):
    assert said in reason(workbooks.workbook({"S": sheet}))


def test_a_short_row_that_stands_for_much_text_is_one_broken_row():
    strings = f"<sst><si><t>{'x' * records.CELL_CHARACTERS}</t></si></sst>"
    sheet = workbooks.sheet([[("s", 0, 0)] * 9, [("s", 0, 0)]])
    said = answers(workbooks.workbook({"S": sheet}, strings=strings), "rows", "", "20", "0")
    (_, first), (_, second) = child.unpacked(said[0][1])[0]
    assert isinstance(first, Broken)
    assert isinstance(second, list)
    assert len(second[0]) == records.CELL_CHARACTERS


def test_what_the_child_says_comes_in_portions():
    strings = f"<sst><si><t>{'x' * records.CELL_CHARACTERS}</t></si></sst>"
    sheet = workbooks.sheet([[("s", 0, 0)] * 4] * 20)
    said = answers(workbooks.workbook({"S": sheet}, strings=strings), "rows", "", "20", "0")
    assert max(len(content) for _, content in said) < 2 * records.RECORD_CHARACTERS
    assert [number for _, content in said[:-1] for number, _ in child.unpacked(content)[0]] == list(range(1, 21))


def test_texts_and_parts_have_bounds(monkeypatch):
    data = workbooks.workbook({"S": workbooks.sheet([[("s", 0, 0)]])}, strings="<sst><si><t>long</t></si></sst>")
    monkeypatch.setattr(workbook, "MAX_STRINGS_BYTES", 3)
    assert "too much text" in reason(data)
    monkeypatch.setattr(archive, "MAX_ENTRIES", 2)
    assert "parts" in reason(data)


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"a.csv": b"phone"}, "no Excel workbook"),
        ({"[Content_Types].xml": b"", "word/document.xml": b"<a/>"}, "no Excel workbook"),
    ],
)
def test_other_archives(parts, said):
    assert said in reason(workbooks.zipped(parts))


def test_what_is_cut_off_is_damaged():
    data = workbooks.table([HEADER, ADA])
    assert "end is missing" in reason(data[:-30])


def test_any_damage_is_told_or_harmless():
    rng = random.Random(7)
    whole = workbooks.workbook(
        {"S": workbooks.sheet([HEADER, ADA, [1, True, ("s", 1, 0)]])},
        strings="<sst><si><t>x</t></si></sst>",
        styles="<s/>",
    )
    for _ in range(500):
        data = bytearray(whole)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        assert answers(bytes(data), "rows", "", "20", "0")[-1][0] in (child.END, child.UNREADABLE)
        assert answers(bytes(data), "inspect", "", "20", "9")[-1][0] in (child.END, child.UNREADABLE, child.EMPTY)


@pytest.mark.parametrize(
    ("code", "raised"),
    [(-24, Unreadable), (-9, Unreadable), (-6, Unreadable), (-11, Unreadable), (1, reader.Misbehaved)],
)
def test_how_a_child_ended(code, raised):
    assert isinstance(reader.died(code), raised)
