import pytest
from hypothesis import given

from services.segments.domain.text import fold
from tests.unit.segments.values import anything


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("PREMIUM", "premium"),
        ("Straße", "STRASSE"),
        ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
        # Composed and decomposed.
        ("Zoe\u0301", "ZOÉ"),
        ("ﬁne", "FINE"),
    ],
)
def test_case_and_composition_do_not_matter(one, other):
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("é", "e"), ("İ", "i"), ("ı", "i"), ("a ", "a")])
def test_accents_dots_and_spaces_do(one, other):
    assert fold(one) != fold(other)


@given(anything)
def test_folding_twice_changes_nothing(text):
    assert fold(fold(text)) == fold(text)
