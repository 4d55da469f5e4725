"""What a card says of its contact, under titles that a CSV file would have for it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote

from formats.vcard.properties import Property

# The first is the contact's; more than these stand together in the last.
PHONES = ("phone", "phone_2", "phone_3", "phone_4", "phone_5", "other_phones")
EMAILS = ("email", "email_2", "email_3", "other_emails")
TEXTS = {
    "ORG": "organization",
    "TITLE": "title",
    "NOTE": "note",
    "BDAY": "birthday",
    "NICKNAME": "nickname",
    "URL": "website",
    "ADR": "address",
    "GENDER": "gender",
    "X-GENDER": "gender",
    "LANG": "language",
    "TZ": "timezone",
    "X-EXTERNAL-ID": "external_id",
    "UID": "uid",
}
WANTED = frozenset({"TEL", "EMAIL", "N", "FN", "CATEGORIES", *TEXTS})
COLUMNS = (
    "phone", "email", "name", "first_name", "last_name", "tags", "gender", "language", "timezone", "external_id",
    *PHONES[1:], *EMAILS[1:],
    "organization", "title", "note", "birthday", "nickname", "website", "address", "uid",
)  # fmt: skip
PLACES = {title: at for at, title in enumerate(COLUMNS)}

MOBILE = frozenset({"cell", "mobile", "iphone"})
# Numbers that nobody reads a message on.
DEAF = frozenset({"fax", "pager", "modem", "bbs"})
NO_PREFERENCE = 101
MAILTO = re.compile(r"^mailto:", re.IGNORECASE)
EXTENSION = re.compile(r";\s*ext\s*=", re.IGNORECASE)
DATE = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})(?:T.*)?", re.ASCII)


def cells(properties: Sequence[Property]) -> list[str]:
    """In the order of COLUMNS; empty where the card says nothing."""
    said: dict[str, list[Property]] = {}
    for one in properties:
        said.setdefault(one.name, []).append(one)
    found = names(said)
    for name, several in said.items():
        if (title := TEXTS.get(name)) and (text := next(filter(None, map(plain_text, several)), "")):
            found.setdefault(title, text)
    found.update(spread(PHONES, phones(said.get("TEL", ()))))
    found.update(spread(EMAILS, emails(said.get("EMAIL", ()))))
    tags = [tag for one in said.get("CATEGORIES", ()) for tag in one.parts(",")]
    found["tags"] = ",".join(dict.fromkeys(tag_text(tag) for tag in tags if tag))
    return [found.get(title, "") for title in COLUMNS]


def tag_text(tag: str) -> str:
    """As a cell of tags has it, whose commas part them and whose quotation marks hold them together."""
    if not {",", '"', "\n"} & set(tag):
        return tag
    doubled = tag.replace('"', '""')
    return f'"{doubled}"'


def plain_text(said: Property) -> str:
    if said.name in ("ORG", "ADR"):
        return ", ".join(part for part in said.parts(";") if part)
    if said.name == "GENDER":
        # `F;a text of one's own`.
        return said.parts(";")[0]
    if said.name == "BDAY" and (date := DATE.fullmatch(said.plain)):
        return "-".join(date.groups())
    return said.plain


def names(said: Mapping[str, Sequence[Property]]) -> dict[str, str]:
    """First and last from `N`; the name as it is shown only where there is no `N`."""
    if "N" in said:
        last, first, middle, *_ = [*said["N"][0].parts(";"), "", "", ""]
        if first or last:
            return {"first_name": f"{first} {middle}".strip(), "last_name": last}
    return {"name": said["FN"][0].plain if "FN" in said else ""}


def phones(said: Iterable[Property]) -> list[str]:
    """A mobile before others, a preferred one before others, then in the card's order.

    Fax, pager and numbers with an extension come last and never first: an empty text stands for the contact's phone
    where there are no others.
    """
    rated = [(*rating(one), at, number(one.plain)) for at, one in enumerate(said) if one.plain]
    rated.sort()
    ordered = distinct([text for *_, text in rated])
    return ["", *ordered] if rated and rated[0][0] else ordered


def rating(said: Property) -> tuple[bool, bool, int]:
    deaf = bool(said.types & DEAF) or EXTENSION.search(said.text) is not None
    preference = NO_PREFERENCE if said.preference is None else said.preference
    return deaf, not said.types & MOBILE, preference


def number(text: str) -> str:
    """Without what makes a URI of it: `tel:+1-201-555-0123`. An extension stays, so that nobody dials without it."""
    if text[:4].lower() != "tel:":
        return text
    digits, *parameters = unquote(text[4:]).split(";")
    return ";".join([digits, *(one for one in parameters if EXTENSION.match(f";{one}"))])


def emails(said: Iterable[Property]) -> list[str]:
    def rank(one: Property) -> int:
        return NO_PREFERENCE if one.preference is None else one.preference

    ordered = sorted(said, key=rank)
    return distinct([MAILTO.sub("", one.plain) for one in ordered])


def distinct(texts: Sequence[str]) -> list[str]:
    """Those that differ in more than spaces and signs."""
    if len(texts) < 2:
        return [text for text in texts if text]
    seen: dict[str, str] = {}
    for text in filter(None, texts):
        seen.setdefault(re.sub(r"[\s().\-]+", "", text).lower(), text)
    return list(seen.values())


def spread(titles: Sequence[str], texts: Sequence[str]) -> dict[str, str]:
    """One a title, the rest in the last."""
    ahead = len(titles) - 1
    found = dict(zip(titles, texts[:ahead], strict=False))
    found[titles[-1]] = ", ".join(texts[ahead:])
    return found
