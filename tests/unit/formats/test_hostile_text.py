"""Delimited text that nobody should send: a plain error, or rows that are broken, in bounded memory."""

import tracemalloc
from collections.abc import Iterator

import pytest

from formats.layout import Scan, read_layout
from formats.records import RECORD_CHARACTERS, Broken, Records, Unreadable

PIECE = 1024 * 1024
# Pieces, their text, and what is left over of a record: far below a hundred megabytes.
BOUND = 40 * PIECE


def known(titles) -> int:
    return sum(title in {"phone", "name"} for title in titles)


def pieces(head: bytes, filler: bytes, megabytes: int, tail: bytes) -> Iterator[bytes]:
    yield head
    filler = filler * (PIECE // len(filler))
    for _ in range(megabytes):
        yield filler
    yield tail


def read(source: Iterator[bytes]) -> tuple[int, list[str], str]:
    """How many records are whole, why others are not, and why the file ended early."""
    records = Records(encoding="utf-8", delimiter=",")
    whole, error = 0, ""
    broken: list[str] = []

    def take() -> None:
        nonlocal whole
        while taken := records.take(250):
            whole += sum(isinstance(cells, list) for _, cells in taken)
            broken.extend(cells.reason for _, cells in taken if isinstance(cells, Broken))

    try:
        for piece in source:
            records.feed(piece)
            take()
        records.feed(b"", final=True)
        take()
    except Unreadable as unreadable:
        error = str(unreadable)
    return whole, broken, error


HEAD = b"phone,name\n+14155552671,A\n+14155552672,"


@pytest.mark.parametrize(
    ("head", "filler", "tail", "whole", "broken", "error"),
    [
        (HEAD, b"x", b"\n+14155552673,C\n", 2, 0, "A line is longer"),
        (HEAD + b'"', b"x", b'"\n+14155552673,C\n', 2, 0, "A line is longer"),
        (HEAD, b",", b"\n+14155552673,C\n", 2, 0, "A line is longer"),
        (HEAD, b'"', b"\n", 2, 0, "A line is longer"),
    ],
    ids=["a field", "a quoted field", "a hundred million columns", "quotation marks"],
)
def test_a_line_of_100_mb_ends_the_file_behind_the_rows_before_it(head, filler, tail, whole, broken, error):
    tracemalloc.start()
    found = read(pieces(head, filler, 100, tail))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (found[0], len(found[1])) == (whole, broken)
    assert error in found[2]
    assert peak < BOUND


def test_a_quoted_field_of_20_mb_with_line_ends_costs_its_first_line_and_its_last():
    """The lines between become rows of their own, which the importer then refuses one by one."""
    line = b"x" * 1023 + b"\n"
    tracemalloc.start()
    whole, broken, error = read(pieces(HEAD + b'"', line, 20, b'"\n+14155552673,C\n'))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(broken), error) == (2, "")
    assert whole == 2 + 20 * 1024
    assert peak < BOUND


def test_a_row_of_a_million_columns_is_read_as_one():
    wide = b"," * (RECORD_CHARACTERS - 10)
    assert read(iter([b"phone,name\n", wide, b"\n+14155552671,A\n"])) == (3, [], "")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"x," * 1_000_000 + b"phone\n+14155552671\n", "first line is longer"),
        (b"phone," + b"x," * 400 + b"\n+14155552671\n", "more than 256 columns"),
        (b"phone\n+1415\x005552671\n", "NUL"),
    ],
)
def test_heads_that_are_none(data, said):
    scan = Scan()
    scan.update(data)
    with pytest.raises(Unreadable, match=said):
        read_layout(scan, known)


def test_a_report_has_its_title_above_its_table():
    scan = Scan()
    scan.update(b"Customers of May;;\nMade 2026-06-01;;\n\nphone;name;x\n+14155552671;A;1\n")
    layout = read_layout(scan, known)
    assert (layout.preamble, layout.titles, layout.delimiter) == (3, ("phone", "name", "x"), ";")
    assert layout.samples == (("+14155552671", "A", "1"),)
