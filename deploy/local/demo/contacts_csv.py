"""A seeded address book as CSV, with the counts that a correct import of it must report.

The counts follow from how each row was made, never from reading the file back, so that the demo can hold the
importer to them. An import with the default options (`on_duplicate=skip`) is assumed.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from deploy.local.demo.people import PLACES, Place
from deploy.local.demo.phone_ranges import country

COLUMNS = ("phone", "name", "email", "tags", "language", "city", "plan", "code")
PREMIUM = "premium"
# Shares of all rows.
BAD = 0.004
DUPLICATE = 0.015
EMAIL_ONLY = 0.02
PREMIUM_SHARE = 0.12

_PLANS = ("free", "basic", "plus", "business")
_OTHER_TAGS = ("active", "basic", "newsletter", "trial", "vip", "churned", "événement", "ロイヤル")
_MALFORMED = ("call me", "+", "n/a", "+12", "12-34", "+1 (800) ?", "++", "@+44")
_CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"


@dataclass(frozen=True, slots=True)
class Book:
    """What a correct import of the file does."""

    # Data rows, the header not counted; imported + failed + duplicates.
    rows: int
    imported: int
    failed: int
    duplicates: int
    # 1-based numbers of the rows that fail, the header being row 1.
    failed_rows: frozenset[int]
    # The contacts tagged premium that have a phone, whom a campaign on the tag reaches by SMS: E.164 → `code` cell.
    premium_codes: dict[str, str]
    # All contacts tagged premium, those with an email only included: the segment's member count.
    premium_members: int
    countries: dict[str, int]


@dataclass(slots=True)
class _Draft:
    """Counts while the rows are made."""

    rows: int = 0
    imported: int = 0
    duplicates: int = 0
    failed_rows: set[int] = field(default_factory=set)
    phones: set[str] = field(default_factory=set)
    premium_codes: dict[str, str] = field(default_factory=dict)
    premium_members: int = 0
    countries: Counter[str] = field(default_factory=Counter)
    # (phone, email) of some contacts made so far: what a duplicate row repeats.
    repeatable: list[tuple[str, str]] = field(default_factory=list)

    def book(self) -> Book:
        return Book(
            rows=self.rows,
            imported=self.imported,
            failed=len(self.failed_rows),
            duplicates=self.duplicates,
            failed_rows=frozenset(self.failed_rows),
            premium_codes=self.premium_codes,
            premium_members=self.premium_members,
            countries=dict(self.countries),
        )


def write(path: Path, *, rows: int = 100_000, seed: int = 1) -> Book:
    """Writes the file (UTF-8, CRLF as RFC 4180 has it) and says what importing it must come to."""
    draft = _Draft()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(COLUMNS)
        writer.writerows(_rows(draft, Random(seed), rows))
    return draft.book()


def text(*, rows: int, seed: int) -> tuple[str, Book]:
    """As `write`, into memory; for tests."""
    draft = _Draft()
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows(_rows(draft, Random(seed), rows))
    return out.getvalue(), draft.book()


def _rows(draft: _Draft, rng: Random, count: int) -> Iterator[list[str]]:
    weights = [place.weight for place in PLACES]
    places = rng.choices(PLACES, weights=weights, k=count)
    for place in places:
        draft.rows += 1
        kind = rng.random()
        if kind < BAD:
            draft.failed_rows.add(draft.rows + 1)
            yield _bad_row(rng, place)
        elif kind < BAD + DUPLICATE and draft.repeatable:
            draft.duplicates += 1
            yield _duplicate_row(draft, rng, place)
        else:
            yield _new_row(draft, rng, place)


def _new_row(draft: _Draft, rng: Random, place: Place) -> list[str]:
    draft.imported += 1
    name = _name(rng, place)
    premium = rng.random() < PREMIUM_SHARE
    draft.premium_members += premium
    code = "".join(rng.choices(_CODE_LETTERS, k=6))
    if rng.random() < EMAIL_ONLY:
        phone, email = "", _email(rng, draft.rows)
    else:
        phone = _fresh_phone(draft, rng, place)
        # Two in three give an email; some share one, as families and shops do, which makes them no duplicates.
        email = _email(rng, draft.rows if rng.random() < 0.98 else 1) if rng.random() < 0.66 else ""
        draft.countries[place.region] += 1
        if premium:
            draft.premium_codes[phone] = code
    if rng.random() < 0.05:
        draft.repeatable.append((phone, email))
    cells = _cells(rng, place, name=name, phone=_spelling(rng, phone), email=email, premium=premium)
    return [*cells[:-1], code]


def _duplicate_row(draft: _Draft, rng: Random, place: Place) -> list[str]:
    """An earlier contact's key in another spelling. Its other cells differ, and must not win."""
    phone, email = rng.choice(draft.repeatable)
    if phone:
        return _cells(rng, place, name="", phone=_other_spelling(rng, phone), email="", premium=rng.random() < 0.3)
    return _cells(rng, place, name="", phone="", email=f" {email.upper()} ", premium=rng.random() < 0.3)


def _bad_row(rng: Random, place: Place) -> list[str]:
    fault = rng.randrange(3)
    if fault == 0:
        phone = rng.choice(_MALFORMED)
        return _cells(rng, place, name=_name(rng, place), phone=phone, email="", premium=True)
    if fault == 1:  # Nothing that identifies anybody.
        return _cells(rng, place, name=_name(rng, place), phone="", email="", premium=True)
    cells = _cells(rng, place, name=_name(rng, place), phone="", email=_email(rng, 0), premium=True)
    return [*cells, "a cell", "too many"]


def _cells(rng: Random, place: Place, *, name: str, phone: str, email: str, premium: bool) -> list[str]:
    tags = [PREMIUM] if premium else []
    if rng.random() < 0.4:
        tags.append(rng.choice(_OTHER_TAGS))
    return [
        phone,
        name,
        email,
        ",".join(tags),
        place.language,
        rng.choice(place.cities),
        rng.choice(_PLANS),
        "NOTYOURS",
    ]


def _name(rng: Random, place: Place) -> str:
    if rng.random() < 0.03:  # Nameless, so that a template's default is seen to work.
        return ""
    return f"{rng.choice(place.first)} {rng.choice(place.last)}"


def _email(rng: Random, number: int) -> str:
    """Unique per number; in a domain that can never receive mail."""
    word = "".join(rng.choices("abcdefghiklmnoprstuvz", k=5)) if number > 1 else "family"
    return f"{word}.{number}@{rng.choice(('mail', 'post', 'shop')) if number > 1 else 'mail'}.example.com"


def _fresh_phone(draft: _Draft, rng: Random, place: Place) -> str:
    numbers = country(place.region)
    phone = numbers.number(rng)
    while phone in draft.phones:
        phone = numbers.number(rng)
    draft.phones.add(phone)
    return phone


def _spelling(rng: Random, phone: str) -> str:
    if not phone or rng.random() < 0.6:
        return phone
    return _other_spelling(rng, phone)


def _other_spelling(rng: Random, phone: str) -> str:
    """The same number as people write it: grouped, with a no-break space, in brackets, with blanks around."""
    head, middle, tail = phone[:4], phone[4:7], phone[7:]
    style = rng.randrange(5)
    if style == 0:
        return f"{head} {middle} {tail}"
    if style == 1:
        return f"{head}-{middle}-{tail}"
    if style == 2:
        return f"{head}\u00a0{middle}\u00a0{tail}"
    if style == 3:
        return f"{head} ({middle}) {tail}"
    return f"  {head}.{middle}.{tail} "
