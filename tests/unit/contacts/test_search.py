"""Folding, words, and what a search finds."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contacts.domain import search
from services.contacts.domain.search import REVERSED, fold, kept_text, parse, words


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("MÜLLER", "muller"),
        ("Mu\u0308ller", "muller"),
        ("Straße", "strasse"),
        ("İstanbul", "istanbul"),
        ("ＡＢＣ１２", "abc12"),
        ("ﬁn", "fin"),
        ("Ειρήνη", "ειρηνη"),
        ("Ж", "ж"),
        ("plain", "plain"),
    ],
)
def test_case_and_marks_do_not_count(text, folded):
    assert fold(text) == folded


@given(st.text())
def test_folding_again_changes_nothing(text):
    assert fold(fold(text)) == fold(text)


@given(st.text(alphabet=st.characters(max_codepoint=0x2FF)))
def test_upper_case_and_decomposition_fold_alike(text):
    assert fold(text) == fold(unicodedata.normalize("NFD", text))
    assert fold(text.casefold()) == fold(text)


@pytest.mark.parametrize(
    ("text", "split"),
    [
        ("Jean-Luc O'Brien", ["jean", "luc", "o", "brien"]),
        ("john.doe+x_y@mail.example.com", ["john", "doe", "x", "y", "mail", "example", "com"]),
        ("  ", []),
        ("李 小龙", ["李", "小龙"]),
        ("हिन्दी", ["हनद"]),
    ],
)
def test_words_are_runs_of_letters_and_digits(text, split):
    assert words(text) == split


def test_each_word_is_kept_once_with_the_phone_both_ways_round():
    kept = kept_text(first_name="Ann", last_name="Lee", email="ann@lee.org", phone="+4915")
    assert kept == f" ann lee org 4915 {REVERSED}5194"
    assert kept_text(first_name=None, last_name=None, email=None, phone=None) == ""


def finds(typed: str, *, name: str | None, email: str | None, phone: str | None) -> bool:
    wanted = parse(typed)
    assert wanted is not None
    return wanted.finds(name=name, email=email, phone=phone)


def test_a_long_word_is_kept_by_its_beginning_and_compared_in_full():
    long = "a" * 100
    assert kept_text(first_name=long, last_name=None, email=None, phone=None) == " " + "a" * search.KEPT_CHARACTERS
    assert finds("a" * 80, name=long, email=None, phone=None)
    assert not finds("a" * 80, name="a" * 70, email=None, phone=None)


CONTACT = {"name": "Käthe O'Brien", "email": "kate.brown@mail.example.org", "phone": "+12015550123"}


@pytest.mark.parametrize(
    "typed",
    [
        "k", "KATHE", "käthe", "brien", "o'b", "kate", "brown", "exam", "org", "kate.brown@mail",
        "1201", "+1201", "+1 201", "+1 (201) 555-0123", "+1 201 555 0123", "201 555 0123", "0123", "555-0123", "3",
        "kat 0123", "bri  exa", "1201 0123",
    ],
)  # fmt: skip
def test_a_search_finds(typed):
    assert finds(typed, **CONTACT)


@pytest.mark.parametrize(
    "typed", ["athe", "rien", "ail", "201 5", "2015", "012", "kat 9", "kathe muller", "12015550123 9", "+12 0123 x"]
)
def test_a_search_does_not_find(typed):
    assert not finds(typed, **CONTACT)


@pytest.mark.parametrize("typed", ["", "   ", "!?", "@"])
def test_without_a_word_there_is_nothing_to_narrow_to(typed):
    assert parse(typed) is None


@given(st.text(max_size=30), st.text(max_size=30))
def test_what_begins_a_word_is_found_by_the_index_too(name, typed):
    """The kept text has whatever `finds` finds: it is only ever compared with what the index proposes."""
    wanted = parse(typed)
    if wanted is None or not wanted.finds(name=name, email=None, phone="+4915112345"):
        return
    kept = kept_text(first_name=name, last_name=None, email=None, phone="+4915112345")
    assert any(
        all(any(f" {start}" in kept for start in search.beginnings(word)) for word in reading)
        for reading in wanted.readings
    )
