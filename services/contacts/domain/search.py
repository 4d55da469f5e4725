"""What a search finds: every word of it begins a word of the name or the email, or begins or ends the phone's digits.

Text is folded before it is compared: compatibility decomposition (NFKD) without marks, and full case folding, so that
`MÜLLER` finds `Müller` and `muller`. A word is a run of letters and digits in folded text. Words of the search are
parted by blanks; one that is written like a part of a phone, `(201)` or `555-0123`, also counts as its digits, and so
does a search that is nothing but such parts: `+1 201 555` finds the phone that begins with 1201555.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from unicodedata import category, normalize

WORD = re.compile(r"[^\W_]+")
# How phones are written, country code, brackets and all.
PHONE_PART = re.compile(r"[0-9+()./-]*[0-9][0-9+()./-]*")
NOT_DIGITS = re.compile(r"[^0-9]+")
# Longer words are kept by their beginning; what is found by it is compared in full.
KEPT_CHARACTERS = 64
# Marks a phone's digits in reverse, among words that begin with a letter or a digit.
REVERSED = "<"


def fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    folded = normalize("NFKD", normalize("NFKD", text).casefold())
    return "".join([character for character in folded if category(character)[0] != "M"])


def words(text: str) -> list[str]:
    """In the order of the text, repetitions included."""
    return WORD.findall(fold(text))


def is_digits(word: str) -> bool:
    return word.isascii() and word.isdigit()


def kept_text(*, first_name: str | None, last_name: str | None, email: str | None, phone: str | None) -> str:
    """What is kept of a contact: its words, each once and behind a blank; empty when it has none.

    The phone (E.164) counts as a word, and once more in reverse, behind REVERSED.
    """
    text = " ".join([part for part in (first_name, last_name, email) if part])
    kept = [word[:KEPT_CHARACTERS] for word in words(text)]
    if phone:
        digits = phone[1:]
        kept += (digits, REVERSED + digits[::-1])
    return "".join([" " + word for word in dict.fromkeys(kept)])


def beginnings(word: str) -> list[str]:
    """What a kept word begins with where it is found by this word of a search."""
    kept = word[:KEPT_CHARACTERS]
    return [kept, REVERSED + word[::-1]] if is_digits(word) else [kept]


@dataclass(frozen=True, slots=True)
class Search:
    """Ways to read what was typed: a contact is found when all words of one of them match."""

    readings: tuple[tuple[str, ...], ...]

    def finds(self, *, name: str | None, email: str | None, phone: str | None) -> bool:
        has = words(f"{name or ''} {email or ''}")
        digits = phone[1:] if phone else ""

        def matches(word: str) -> bool:
            if digits and is_digits(word) and (digits.startswith(word) or digits.endswith(word)):
                return True
            return any(one.startswith(word) for one in has)

        return any(all(map(matches, reading)) for reading in self.readings)


def parse(text: str) -> Search | None:
    """None where there is no word in it: nothing to narrow to."""
    parts = fold(text).split()
    phone_like = [PHONE_PART.fullmatch(part) is not None for part in parts]
    as_words = distinct(word for part in parts for word in WORD.findall(part))
    if not as_words:
        return None
    as_digits = distinct(
        word
        for part, is_phone in zip(parts, phone_like, strict=True)
        for word in ([only_digits(part)] if is_phone else WORD.findall(part))
    )
    readings = [as_words, as_digits]
    if all(phone_like):
        readings.append((only_digits("".join(parts)),))
    return Search(tuple(dict.fromkeys(readings)))


def only_digits(text: str) -> str:
    return NOT_DIGITS.sub("", text)


def distinct(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found))
