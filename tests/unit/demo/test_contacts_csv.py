"""The generator's own counts against a naive importer that reads the file back."""

import csv
import io
import re

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.local.demo import contacts_csv

_E164 = re.compile(r"^\+[1-9][0-9]{6,14}$")


def normalise(written: str) -> str | None:
    """E.164, or None; the judge's reading."""
    try:
        number = phonenumbers.parse(written, None)
    except phonenumbers.NumberParseException:
        return None
    phone = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return phone if _E164.match(phone) else None


def naive_import(content: str) -> dict[str, object]:
    """Row by row with a dict: first row wins, keys are the phone, or the folded email where there is no phone."""
    rows = csv.reader(io.StringIO(content, newline=""))
    header = next(rows)
    contacts: dict[str, dict[str, str]] = {}
    failed, duplicates = set(), 0
    for number, cells in enumerate(rows, start=2):
        row = dict(zip(header, cells, strict=False))
        written = row["phone"].strip()
        key = normalise(written) if written else row["email"].strip().lower() or None
        if len(cells) != len(header) or key is None:
            failed.add(number)
        elif key in contacts:
            duplicates += 1
        else:
            contacts[key] = row
    premium = {key: row["code"] for key, row in contacts.items() if "premium" in row["tags"].split(",")}
    return {
        "imported": len(contacts),
        "failed_rows": failed,
        "duplicates": duplicates,
        "premium_members": len(premium),
        "premium_codes": {key: code for key, code in premium.items() if key.startswith("+")},
    }


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), rows=st.integers(0, 1500))
def test_the_expected_counts_are_what_a_naive_import_finds(seed: int, rows: int) -> None:
    content, book = contacts_csv.text(rows=rows, seed=seed)
    found = naive_import(content)
    assert {name: getattr(book, name) for name in found} == found
    assert book.rows == rows == book.imported + book.failed + book.duplicates
    assert book.failed == len(book.failed_rows)


def test_the_same_seed_makes_the_same_file() -> None:
    assert contacts_csv.text(rows=500, seed=7) == contacts_csv.text(rows=500, seed=7)
    assert contacts_csv.text(rows=500, seed=7) != contacts_csv.text(rows=500, seed=8)


@pytest.fixture(scope="module")
def large() -> tuple[str, contacts_csv.Book]:
    return contacts_csv.text(rows=20_000, seed=3)


def test_it_is_a_realistic_book(large: tuple[str, contacts_csv.Book]) -> None:
    content, book = large
    assert len(book.countries) >= 20
    assert 0.10 <= book.premium_members / book.imported <= 0.15
    assert book.failed > 20
    assert book.duplicates > 200
    # Accents, Cyrillic, Arabic, Han, Devanagari and Hangul are all there.
    assert all(re.search(pattern, content) for pattern in ("[é-ü]", "[а-я]", "[؀-ۿ]", "[一-鿿]", "[ऀ-ॿ]", "[가-힣]"))


def test_nearly_all_phones_are_in_real_ranges(large: tuple[str, contacts_csv.Book]) -> None:
    phones = sorted(large[1].premium_codes)[:1000]
    valid = sum(phonenumbers.is_valid_number(phonenumbers.parse(phone)) for phone in phones)
    assert valid / len(phones) > 0.97


def test_duplicates_come_in_other_spellings(large: tuple[str, contacts_csv.Book]) -> None:
    written = [row["phone"] for row in csv.DictReader(io.StringIO(large[0], newline="")) if row["phone"]]
    unspaced = [phone for phone in written if _E164.match(phone)]
    assert len(unspaced) == len(set(unspaced)), "a duplicate row repeats the very bytes of the first"
    assert len(unspaced) < len(written)
