"""CSV as it stands in the wild: encodings, delimiters, quotes, pieces of any size."""

import csv
import io
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats import layout as layouts
from formats import records
from formats.layout import Empty, Layout, Scan
from formats.records import Broken, Records, Unreadable
from formats.stream import open_table

TABLE = [["phone", "name", "tags"], ["+1234567890", 'John "J" Doe', "premium,active"], ["+9876543210", "Zoë\nÅ", ""]]


def written(rows, *, delimiter=",", newline="\r\n") -> str:
    out = io.StringIO(newline="")
    # The module's writer leaves a line feed bare where lines end otherwise.
    quoting: Any = csv.QUOTE_MINIMAL if newline == "\r\n" else csv.QUOTE_ALL
    csv.writer(out, delimiter=delimiter, lineterminator=newline, quoting=quoting).writerows(rows)
    return out.getvalue()


def known(titles) -> int:
    return sum(title in {"phone", "name", "tags"} for title in titles)


def layout_of(data: bytes) -> Layout:
    scan = Scan()
    scan.update(data)
    return layouts.read_layout(scan, known)


def read(data: bytes, *, piece: int = 7, encoding="utf-8", delimiter=",") -> list:
    records = Records(encoding=encoding, delimiter=delimiter)
    taken = []
    for start in range(0, len(data), piece):
        records.feed(data[start : start + piece])
        while some := records.take(3):
            taken += some
    records.feed(b"", final=True)
    while some := records.take(3):
        taken += some
    return taken


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("codec", "encoding"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("utf-16-le", "utf-16-le"),
        ("utf-16-be", "utf-16-be"),
        ("cp1252", "cp1252"),
    ],
)
def test_what_was_written_is_read(codec, encoding, delimiter, newline):
    data = written(TABLE, delimiter=delimiter, newline=newline).encode(codec)
    layout = layout_of(data)
    assert (layout.encoding, layout.delimiter) == (encoding, delimiter)
    assert layout.titles == ("phone", "name", "tags")
    for piece in (1, 7, 10_000):
        taken = read(data, piece=piece, encoding=encoding, delimiter=delimiter)
        assert [cells for _, cells in taken] == TABLE
        assert [number for number, _ in taken] == [1, 2, 3]


CELLS = st.text(st.sampled_from('ab",;\n\r é\u2028\x0b'), max_size=6)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=4), max_size=8), st.integers(1, 40))
def test_any_table_survives_any_cut(rows, piece):
    data = written(rows).encode()
    assert [cells for _, cells in read(data, piece=piece)] == rows


def test_blank_lines_count_and_ragged_rows_are_given_as_they_are():
    taken = read(b"phone,name\n\n+1\n+2,a,b\n")
    assert taken == [(1, ["phone", "name"]), (2, []), (3, ["+1"]), (4, ["+2", "a", "b"])]


def test_a_stray_quotation_mark_costs_one_row(monkeypatch):
    monkeypatch.setattr(records, "RECORD_CHARACTERS", 10_000)
    rows = "".join(f"+1415555{n:04},N\n" for n in range(2000))
    taken = read(f'phone,name\n+1,"open\n{rows}'.encode(), piece=4096)
    assert len(taken) == 2002
    assert [number for number, cells in taken if isinstance(cells, Broken)] == [2]


def test_a_quotation_mark_open_at_the_end_is_told():
    taken = read(b'phone,name\n+1,"open\n+2,b')
    assert isinstance(taken[1][1], Broken)
    assert taken[2] == (3, ["+2", "b"])


def test_what_is_no_csv_is_given_up(monkeypatch):
    monkeypatch.setattr(records, "BROKEN_RECORDS", 3)
    with pytest.raises(Unreadable, match="longer"):
        read(b"x" * 3_000_000, piece=65_536)
    with pytest.raises(Unreadable, match="rows cannot be read"):
        read((b'a,"' + b"x" * 140_000 + b"\n") * 4, piece=65_536)
    huge = [cells for _, cells in read(b'"' + b"x" * 200_000 + b'",1\n2,3\n', piece=65_536)]
    assert isinstance(huge[0], Broken)
    assert huge[1] == ["2", "3"]


@pytest.mark.parametrize(
    ("data", "preamble", "delimiter"),
    [
        (b"\n\nphone;name\n+1;a\n", 2, ";"),
        (b"sep=|\nphone|name\n+1|a\n", 1, "|"),
        (b"phone\n+14155552671\n", 0, ","),
        # More commas in the cells than semicolons in the rows.
        (b"phone;name;tags\n+1;a;x,y,z,w\n+2;b;x,y,z,w\n", 0, ";"),
    ],
)
def test_where_the_header_is(data, preamble, delimiter):
    layout = layout_of(data)
    assert (layout.preamble, layout.delimiter) == (preamble, delimiter)
    assert layout.titles[0] == "phone"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", Empty),
        (b" \n\n", Empty),
        (b"phone\n", Empty),
        (b"PK\x03\x04rest", Unreadable),
        (b"%PDF-1.7", Unreadable),
        (b"BEGIN:VCARD\n", Unreadable),
        (b"phone\n\0\0\0\n", Unreadable),
        (b"phone\n\x01\x02\n", Unreadable),
        (b"phone\n\x81\x8d\xff\n", Unreadable),
        (b'phone,name\n+1,"open\n+2,b\n', Unreadable),
        (("x," * 300 + "phone\n" + "1\n").encode(), Unreadable),
    ],
)
def test_files_that_are_refused(data, error):
    with pytest.raises(error):
        layout_of(data)


def test_the_encoding_is_judged_by_the_whole_file():
    """The first accent may come after a megabyte, and a character may lie across two pieces."""
    plain = b"phone,name\n" + b"+14155552671,Ada\n" * 70_000
    for tail, encoding in ((b"+1,Zo\xeb\n", "cp1252"), ("+1,Zoë\n".encode(), "utf-8"), (b"+1,Zo\xc3", "cp1252")):
        scan = Scan()
        data = plain + tail
        for start in range(0, len(data), 65_521):
            scan.update(data[start : start + 65_521])
        assert layouts.read_layout(scan, known).encoding == encoding


def test_random_bytes_are_read_or_refused():
    rng = random.Random(5)
    for _ in range(300):
        data = b"phone,name\n" + bytes(rng.choice(b'ab,"\n\r;\xc3\xa9\xff') for _ in range(rng.randrange(200)))
        try:
            layout = layout_of(data)
            read(data, encoding=layout.encoding, delimiter=layout.delimiter)
        except (Empty, Unreadable):
            pass


async def pieces(data: bytes, size: int):
    for start in range(0, len(data), size):
        yield data[start : start + size]


@pytest.mark.parametrize("size", [1, 7, 65_536])
async def test_a_stream_is_read_as_a_file_is(size):
    table = await open_table(pieces(written(TABLE, delimiter=";").encode("utf-16"), size), known)
    assert table.layout.titles == ("phone", "name", "tags")
    rows = [row async for batch in table.batches(1) for row in batch]
    assert rows == [(2, TABLE[1]), (3, TABLE[2])]


async def test_an_accent_far_behind_the_head_is_still_read():
    """The stream's encoding is judged by its head alone."""
    data = b"phone,name\n" + b"+14155552671,Ada\n" * 70_000 + b"+1,Zo\xeb\n"
    table = await open_table(pieces(data, 65_536), known)
    last = [row async for batch in table.batches(500) for row in batch][-1]
    assert last == (70_002, ["+1", "Zoë"])
