"""Rows in COPY's text format; tests/service/chassis/test_db.py holds them against a real Postgres."""

from chassis import copytext


def test_fields_lines_and_nulls():
    assert copytext.rows([["a", None], ["b", "c"]]) == b"a\tb\n\\N\tc\n"
    assert copytext.rows([[], []]) == b""


def test_what_would_end_a_field_or_a_row_is_escaped():
    assert copytext.rows([["a\tb\nc\rd\\N", None]]) == b"a\\tb\\nc\\rd\\\\N\n\\N\n"


def test_arrays_quote_what_postgres_reads():
    assert copytext.array(['a"b', "c\\d", "e,{f}", ""]) == '{"a\\"b","c\\\\d","e,{f}",""}'
    assert copytext.array([]) == "{}"
