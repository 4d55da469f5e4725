"""Hypothesis's contacts and rules: few letters, so that they meet, and the characters that break comparisons."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from services.segments.domain.rules import Condition, Facts
from services.segments.domain.text import fold, fold_or_none

# Values that meet one another: equal but for case, prefixes and endings, letters that fold to several or to a combining
# mark, LIKE's and arrays' metacharacters.
WORDS = [
    *("a", "A", "b", "ab", "AB", "aab", "ba", "prem", "Premium", "PREMIUM", "ium", "+1", "+1415"),
    *("ß", "ss", "SS", "ẞ", "Straße", "STRASSE", "é", "E\u0301", "e", "İ", "i", "I", "ı", "ς", "Σ", "σ", "ǰ", "\u0345"),
    *("%", "_", "\\", "a%", "a_b", "aXb", "a\\b", "{a,b}", '"', "'", "null", "NULL", " ", "a b", "🙂"),
]
word = st.sampled_from(WORDS)
anything = st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
fields = st.sampled_from(["name", "phone", "email", "tags"])
operators = st.sampled_from(["equals", "contains", "starts_with", "ends_with"])


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[list[Condition]], list[Mapping[str, Any]]]:
    """Rules and contacts over a handful of words, so that rules hold about as often as not."""
    pool = draw(st.lists(st.one_of(word, word, anything), min_size=2, max_size=4))
    value = st.one_of(
        st.sampled_from(pool),
        st.sampled_from(pool).map(str.swapcase),
        st.lists(st.sampled_from(pool), min_size=2, max_size=2).map("".join),
    )
    wanted = st.one_of(value, value, st.sampled_from(pool).map(lambda text: text[:1]))
    values = st.lists(wanted, min_size=1, max_size=3).map(tuple)
    conditions = st.builds(Condition, fields, operators, values, st.just(True))
    text = st.none() | value
    tags = st.lists(value, max_size=4)
    fields_of = {"name": text, "phone": text, "email": text, "tags": tags}
    contact: st.SearchStrategy[Mapping[str, Any]] = st.fixed_dictionaries(fields_of)
    rules = draw(st.lists(st.lists(conditions, min_size=1, max_size=2), min_size=1, max_size=6))
    return rules, draw(st.lists(contact, min_size=1, max_size=10))


def facts(contact: Mapping[str, Any]) -> Facts:
    """As the consumer makes them of an event."""
    name, phone, email = (contact[field] and fold_or_none(contact[field]) for field in ("name", "phone", "email"))
    return Facts(name, phone, email, tuple(fold(tag) for tag in contact["tags"]))
