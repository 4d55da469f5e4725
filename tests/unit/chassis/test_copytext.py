"""Rows in COPY's text format; tests/service/chassis/test_db.py holds them against a real Postgres."""

from hypothesis import given
from hypothesis import strategies as st

from chassis import copytext


def test_fields_lines_and_nulls():
    assert copytext.rows([["a", None], ["b", "c"]]) == b"a\tb\n\\N\tc\n"
    assert copytext.rows([[], []]) == b""


def test_what_would_end_a_field_or_a_row_is_escaped():
    assert copytext.rows([["a\tb\nc\rd\\N", None]]) == b"a\\tb\\nc\\rd\\\\N\n\\N\n"


def test_arrays_quote_what_postgres_reads():
    assert copytext.array(['a"b', "c\\d", "e,{f}", ""]) == '{"a\\"b","c\\\\d","e,{f}",""}'
    assert copytext.array([]) == "{}"


CELLS = st.none() | st.text(st.sampled_from("aN\\\t\n\ré"), max_size=3)


@given(st.integers(1, 3).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=3)))
def test_whatever_is_in_them(cells):
    """Against the table of escapes in the manual, a cell at a time."""
    if not cells:
        return
    signs = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
    expected = [
        "\t".join("\\N" if cell is None else "".join(signs.get(sign, sign) for sign in cell) for cell in row) + "\n"
        for row in cells
    ]
    columns = [list(column) for column in zip(*cells, strict=True)]
    assert copytext.rows(columns) == "".join(expected).encode()
