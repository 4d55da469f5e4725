"""Phones: what is accepted, what comes back, and that the fast library never overrules the judge."""

import random
import re

import phonenumbers
import pytest
import rphonenumbers
from hypothesis import given
from hypothesis import strategies as st

from formats import phones

E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)


@pytest.mark.parametrize(
    ("text", "region", "e164", "validity", "country"),
    [
        ("+1234567890", None, "+1234567890", "invalid", None),
        ("+9876543210", None, "+9876543210", "invalid", "IR"),
        ("+14155552671", None, "+14155552671", "valid", "US"),
        ("+1 (415) 555-2671", None, "+14155552671", "valid", "US"),
        ("\u202a+1\u00a0415\u2011555\u20112671\u202c", None, "+14155552671", "valid", "US"),
        ("0044 20 7946 0958", None, "+442079460958", "valid", "GB"),
        ("+44 (0)20 7946 0958", None, "+442079460958", "valid", "GB"),
        ("020 7946 0958", "GB", "+442079460958", "valid", "GB"),
        ("0049 30 901820", "US", "+4930901820", "valid", "DE"),
        ("tel:+49-30-901820", None, "+4930901820", "valid", "DE"),
        ("'+4930901820", None, "+4930901820", "valid", "DE"),
        ("14155552671.0", "US", "+14155552671", "valid", "US"),
        ("+٤٩٣٠٩٠١٨٢٠", None, "+4930901820", "valid", "DE"),
        ("+４９３０９０１８２０", None, "+4930901820", "valid", "DE"),
        ("+39 06 69812345", None, "+390669812345", "valid", "VA"),
        ("+80012345678", None, "+80012345678", "valid", None),
        ("+4537123456", None, "+4537123456", "invalid", "DK"),
        # A spreadsheet's power of ten, with all the digits.
        ("4.915123456789E+12", "DE", "+4915123456789", "valid", "DE"),
        ("4,915123456789e12", None, "+4915123456789", "valid", "DE"),
        ("+1.4155552671E+10", None, "+14155552671", "valid", "US"),
    ],
)
def test_what_is_accepted(text, region, e164, validity, country):
    number = phones.normalise(text, region)
    assert number is not None
    assert (number.e164, number.valid, number.region) == (e164, validity == "valid", country)


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("", None),
        ("12ab", None),
        ("junk", "US"),
        ("4155552671", None),
        ("+0123456789", None),
        ("+123456", None),
        ("+1234567890123456", None),
        ("123", "US"),
        ("++4930901820", None),
        ("+1 415 555 2671 ext. 5", None),
        ("1-800-FLOWERS", "US"),
        ("1.41556E+10", "US"),
        ("+1415\n5552671, +14155552672", None),
        ("+" + "1" * 500, None),
    ],
)
def test_what_is_refused(text, region):
    assert phones.normalise(text, region) is None


@pytest.mark.parametrize(
    ("text", "region", "e164"),
    [
        # With a region: as dialled there, if that is a mobile number or nothing else is known …
        ("15123456789", "DE", "+4915123456789"),
        ("30901820", "DE", "+4930901820"),
        ("4155552671", "US", "+14155552671"),
        ("51987654321", "BR", "+5551987654321"),
        ("049151234567", "DE", "+4949151234567"),
        # … then whole: of the region itself, or of another.
        ("4915123456789", "DE", "+4915123456789"),
        ("447400123456", "DE", "+447400123456"),
        ("14155552671", "GB", "+14155552671"),
        ("4791234567", "GB", "+4791234567"),
        # Neither is known: as dialled.
        ("99", "DE", None),
        ("9999999999", "US", "+19999999999"),
        # Without one: whole, if it cannot be another country's mobile number.
        ("4915123456789", None, "+4915123456789"),
        ("447400123456", None, "+447400123456"),
        ("919876543210", None, "+919876543210"),
        ("12015550123", None, "+12015550123"),
        ("15123456789", None, None),  # Texas, or Germany, or China
        ("51987654321", None, None),  # Peru, or Brazil
        ("4791234567", None, None),  # Norway, and many others
        ("4155552671", None, None),
        ("2651234567", None, None),  # Malawi, but too short to be sure
        ("999999999999", None, None),
    ],
)
def test_digits_whose_plus_is_lost(text, region, e164):
    number = phones.normalise(text, region)
    assert (number.e164 if number else None) == e164
    # As a spreadsheet would write it besides.
    assert phones.normalise(f"{text}.0", region) == number or len(text) < 7


@pytest.mark.parametrize(
    ("text", "region", "said"),
    [
        ("1.23457E+11", None, phones.DIGITS_LOST),
        ("1,23457E+11", "DE", phones.DIGITS_LOST),
        ("4.9E+12", "DE", phones.DIGITS_LOST),
        ("5E11", None, phones.DIGITS_LOST),
        ("4155552671", None, phones.PLUS_LOST),
        ("15123456789", None, phones.PLUS_LOST),
        ("12ab", None, None),
        ("12345", None, None),
        ("0123456789", None, None),
    ],
)
def test_what_happened_to_a_number_is_told(text, region, said):
    assert phones.normalise(text, region) is None
    assert phones.fault(text, region) == said


def test_the_two_libraries_agree_on_what_a_mobile_is():
    differing = []
    for text in mutated(11, 3_000):
        number = phones.normalise(text)
        if number is not None and number.valid:
            theirs = phonenumbers.number_type(phonenumbers.parse(number.e164)) in phones.MOBILES
            if phones.is_mobile(number) != theirs:
                differing.append(text)
    assert not differing


@given(st.from_regex(E164, fullmatch=True))
def test_every_e164_is_accepted_and_stable(text):
    number = phones.normalise(text)
    assert number is not None
    assert E164.fullmatch(number.e164)
    assert phones.normalise(number.e164) == number


@given(st.from_regex(E164, fullmatch=True), st.randoms(use_true_random=False))
def test_grouping_changes_nothing(text, rng):
    grouped = "".join(digit + rng.choice(["", "", " ", "-", ".", "\u2011"]) for digit in text)
    # "1234567.0" is a spreadsheet's fraction, not a grouping.
    if not grouped.rstrip(" -.\u2011").endswith(".0"):
        assert phones.normalise(grouped) == phones.normalise(text)


TYPED = st.from_regex(r"['\s]?\+[1-9][ (]{0,2}[0-9]{1,3}\)?[ .\n-]?[0-9]{3,12}(\.0)?[ eE\u00a0-]?", fullmatch=True)


@given(st.lists(TYPED | st.text(st.sampled_from("+0123456789 -()./\n\teE\u00a0"), max_size=70), max_size=6))
def test_many_are_compacted_as_one_is(texts):
    for text, found in zip(texts, phones.compact_all(texts), strict=True):
        assert found is None or (found == phones.compact(text) and phones.is_e164(found))


def test_the_usual_spellings_are_compacted_together():
    texts = ["+14155552671", "+1 (415) 555-2671", " +1.415.555.2671", "+44 (0)20 7946 0018", "+14155552671.0", "no", ""]
    assert phones.compact_all(texts) == ["+14155552671"] * 3 + [None] * 4
    assert phones.compact_all(["+1 415 555\n2671", "+1 415 555 2671"]) == [None, None]


@given(st.text(max_size=40), st.sampled_from([None, "US", "DE", "BR", "IN"]))
def test_any_text_is_answered(text, region):
    number = phones.normalise(text, region)
    assert number is None or E164.fullmatch(number.e164)


def mutated(seed: int, count: int) -> list[str]:
    """Example numbers of every region and type, with digits changed, added and lost."""
    rng = random.Random(seed)
    regions = sorted(phonenumbers.SUPPORTED_REGIONS)
    made: list[str] = []
    while len(made) < count:
        example = phonenumbers.example_number_for_type(rng.choice(regions), rng.randrange(11))
        if example is None:
            continue
        digits = list(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)[1:])
        for _ in range(rng.randrange(4)):
            at = rng.randrange(len(digits))
            change = rng.randrange(3)
            if change == 0:
                digits[at] = rng.choice("0123456789")
            elif change == 1:
                digits.insert(at, rng.choice("0123456789"))
            elif len(digits) > 8:
                digits.pop(at)
        made.append("+" + "".join(digits))
    return made


def verdict(library, text: str) -> tuple[str, str, str | None] | None:
    try:
        number = library.parse(text, None)
    except library.NumberParseException:
        return None
    e164 = library.format_number(number, library.PhoneNumberFormat.E164)
    return e164, "valid" if library.is_valid_number(number) else "invalid", library.region_code_for_number(number)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_judge_is_never_overruled(seed):
    """Ours, which asks the Rust port first, against phonenumbers alone. A difference names a code for DISPUTED."""
    differing = []
    for text in mutated(seed, 3_000):
        ours, theirs = phones.normalise(text), verdict(phonenumbers, text)
        if not E164.fullmatch(text):
            assert ours is None
        elif theirs is None or theirs[1] == "invalid" or not E164.fullmatch(theirs[0]):
            if ours is None or (ours.e164, ours.valid) != (text, False):
                differing.append((text, ours, theirs))
        elif ours is None or (ours.e164, "valid" if ours.valid else "invalid", ours.region or "001") != theirs:
            differing.append((text, ours, theirs))
    assert not differing


def test_the_disputes_are_real():
    """The list would be dead weight if the two agreed on all of it."""
    for text in ("+4537123456", "+29098999"):
        assert verdict(rphonenumbers, text) != verdict(phonenumbers, text)
        assert phonenumbers.parse(text).country_code in phones.DISPUTED
