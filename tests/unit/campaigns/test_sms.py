"""Alphabets and parts of SMS, also against another implementation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from smpplib import consts, gsm

from services.campaigns.domain.sms import BASIC, EXTENDED, Size, size


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Size("gsm7", 0, 1)),
        ("x" * 160, Size("gsm7", 160, 1)),
        ("x" * 161, Size("gsm7", 161, 2)),
        ("x" * 306, Size("gsm7", 306, 2)),
        ("x" * 307, Size("gsm7", 307, 3)),
        ("€" * 80, Size("gsm7", 160, 1)),
        # An extended character does not fit into the last place of a part.
        ("x" * 152 + "€" + "x" * 152, Size("gsm7", 306, 3)),
        ("ж" * 70, Size("ucs2", 70, 1)),
        ("ж" * 71, Size("ucs2", 71, 2)),
        ("ж" * 134, Size("ucs2", 134, 2)),
        ("ж" * 135, Size("ucs2", 135, 3)),
        ("ж" * 66 + "😀" + "ж" * 66, Size("ucs2", 134, 3)),
        # Not of the alphabet, although it looks like it.
        ("it’s", Size("ucs2", 4, 1)),
        ("ç", Size("ucs2", 1, 1)),
        ("Ç", Size("gsm7", 1, 1)),
        ("a\tb", Size("ucs2", 3, 1)),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 5 else None,
)
def test_sizes(text: str, expected: Size) -> None:
    assert size(text) == expected


def test_the_alphabet_is_whole() -> None:
    # 128 places less the escape; ten characters behind it.
    assert (len(BASIC), len(EXTENDED)) == (127, 10)


# Where smpplib's own table is wrong, or has a place holder.
KNOWN = "".join(sorted((BASIC | EXTENDED) - set("§`\f")))


@given(st.text(st.sampled_from(KNOWN + "жя漢😀"), max_size=500))
def test_it_agrees_with_smpplib(text: str) -> None:
    parts, encoding, _ = gsm.make_parts(text)
    ours = size(text)
    assert ours.encoding == ("gsm7" if encoding == consts.SMPP_ENCODING_DEFAULT else "ucs2")
    if any(character in EXTENDED for character in text) or "😀" in text:
        # It cuts such characters in two.
        assert len(parts) <= ours.parts <= len(parts) + 1 + ours.characters // (153 * 67)
    else:
        assert ours.parts == len(parts)
