"""vCards of three versions, as phones and mail programs write them, and as nobody should."""

import base64
import quopri
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from formats.layout import Scan
from formats.records import Broken
from formats.vcard import cards
from formats.vcard.cards import Cards
from formats.vcard.contact import COLUMNS
from formats.vcard.lines import LINE_BYTES, Unfolder
from formats.vcard.properties import split, unescaped


def read(data: str | bytes, *, piece: int = 1 << 20, encoding="utf-8") -> list:
    """A card as the texts it has, by title; a broken one as its reason."""
    data = data.encode() if isinstance(data, str) else data
    reader = Cards(encoding)
    taken = []
    for start in range(0, len(data), piece):
        reader.feed(data[start : start + piece])
        taken += reader.take(1000)
    reader.feed(b"", final=True)
    taken += reader.take(1000)
    assert [number for number, _ in taken] == list(range(1, len(taken) + 1))
    return [shown(record) for _, record in taken]


def shown(record) -> dict[str, str] | str:
    if isinstance(record, Broken):
        return record.reason
    return {title: text for title, text in zip(COLUMNS, record, strict=True) if text}


def card(*lines: str) -> str:
    return "\r\n".join(["BEGIN:VCARD", *lines, "END:VCARD", ""])


OLD = card(
    "VERSION:2.1",
    "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;K=C3=A4the;;;",
    "FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:K=C3=A4the M=",
    "=C3=BCller",
    "TEL;HOME:+49 30 901820",
    "TEL;CELL;PREF:+49 151 23456789",
    "TEL;WORK;FAX:+49 30 901821",
    "EMAIL;INTERNET:kaethe@example.org",
    "NOTE;ENCODING=QUOTED-PRINTABLE:one=0Atwo",
    "AGENT:",
    "BEGIN:VCARD",
    "TEL;CELL;PREF:+49 151 00000000",
    "END:VCARD",
    "PHOTO;ENCODING=BASE64;JPEG:/9j/4AAQSkZJ",
    " RgABAQAAAQABAAD",
    "",
)
MIDDLE = card(
    "VERSION:3.0",
    "PRODID:-//Apple Inc.//iOS 17//EN",
    "N:Doe;John;Quincy;Dr.;",
    "FN:Dr. John Doe",
    "item1.TEL;type=WORK;type=pref:(030) 901820",
    "item1.X-ABLabel:office",
    "TEL;type=IPHONE;type=VOICE:+49 151 23456789",
    "item2.EMAIL;type=INTERNET:second@example.org",
    "EMAIL;type=INTERNET;type=pref:first@example.org",
    "ORG:Acme\\, Inc.;Sales",
    "TITLE:Head\\; of it",
    "CATEGORIES:premium,a\\,b,premium",
    "BDAY:19960415",
    "NOTE:a folded \r\n note\\nof two lines",
    "ADR;type=HOME:;;1 Main St;Town;;12345;Utopia",
    "UID:urn:uuid:1",
)
NEW = card(
    "VERSION:4.0",
    "FN:Siân Jones",
    'TEL;VALUE=uri;PREF=2;TYPE="voice,home":tel:+44-20-7946-0958;ext=5',
    "TEL;VALUE=uri;PREF=1:tel:+44-20-7946-0958",
    "TEL;VALUE=uri;TYPE=cell:tel:+44-7400-123456",
    "EMAIL;PREF=2:b@example.org",
    "EMAIL;PREF=1:a@example.org",
    "GENDER:F;woman",
    "LANG:cy",
    "TZ:Europe/London",
)


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_the_three_versions(piece):
    old, middle, new = read(OLD + MIDDLE + NEW, piece=piece)
    assert old == {
        "phone": "+49 151 23456789",
        "phone_2": "+49 30 901820",
        "phone_3": "+49 30 901821",
        "email": "kaethe@example.org",
        "first_name": "Käthe",
        "last_name": "Müller",
        "note": "one\ntwo",
    }
    assert middle == {
        "phone": "+49 151 23456789",
        "phone_2": "(030) 901820",
        "email": "first@example.org",
        "email_2": "second@example.org",
        "first_name": "John Quincy",
        "last_name": "Doe",
        "organization": "Acme, Inc., Sales",
        "title": "Head; of it",
        "tags": 'premium,"a,b"',
        "birthday": "1996-04-15",
        "note": "a folded note\nof two lines",
        "address": "1 Main St, Town, 12345, Utopia",
        "uid": "urn:uuid:1",
    }
    assert new == {
        "phone": "+44-7400-123456",
        "phone_2": "+44-20-7946-0958",
        "phone_3": "+44-20-7946-0958;ext=5",
        "email": "a@example.org",
        "email_2": "b@example.org",
        "name": "Siân Jones",
        "gender": "F",
        "language": "cy",
        "timezone": "Europe/London",
    }


def test_which_number_is_the_contacts():
    def phones(*lines):
        return [text for title, text in read(card(*lines))[0].items() if "phone" in title]

    assert phones("TEL:+1", "TEL;TYPE=cell:+2", "TEL;TYPE=pref:+3") == ["+2", "+3", "+1"]
    assert phones("TEL;TYPE=cell:+1", "TEL;TYPE=cell,pref:+2") == ["+2", "+1"]
    assert phones("TEL:+1 (2)", "TEL:+12") == ["+1 (2)"]
    assert phones(*(f"TEL:+{n}" for n in range(1, 9))) == ["+1", "+2", "+3", "+4", "+5", "+6, +7, +8"]
    # A fax reads no message: the card has no phone of its own then.
    assert read(card("TEL;FAX:+1"))[0] == {"phone_2": "+1"}


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"FN;CHARSET=ISO-8859-1:Zo\xeb", "Zoë"),
        (b"FN;CHARSET=windows-1251;ENCODING=QUOTED-PRINTABLE:=C0=ED=ED=E0", "Анна"),
        (b"FN;CHARSET=SHIFT_JIS:" + "太郎".encode("shift-jis"), "太郎"),
        (b"FN;CHARSET=GBK;QUOTED-PRINTABLE:" + quopri.encodestring("张伟".encode("gbk")), "张伟"),
        (b"FN;ENCODING=b:" + base64.b64encode("Zoë".encode()), "Zoë"),
        (b"FN:Zo\xeb", "Zoë"),
        (b"FN;CHARSET=nonsense:Zo\xc3\xab", "Zoë"),
        (b"FN;CHARSET=unicode_escape:\\u0041", "u0041"),
        (b'FN;X-A="a:b;c":Zo\xc3\xab', "Zoë"),
        (b'FN;X-A="stray:Zo\xc3\xab', "Zoë"),
        (b"fn : Zo\xc3\xab", "Zoë"),
    ],
)
def test_in_which_letters(line, name):
    assert read(b"BEGIN:VCARD\n" + line + b"\nEND:VCARD\n") == [{"name": name}]


def test_utf_16_and_a_mark_at_the_start():
    for codec in ("utf-16", "utf-16-le", "utf-8-sig"):
        scan = Scan()
        scan.update(NEW.encode(codec))
        layout = cards.inspect(scan)
        assert layout.samples[0][COLUMNS.index("name")] == "Siân Jones"
        assert read(NEW.encode(codec), encoding=layout.encoding)[0]["name"] == "Siân Jones"


NASTY = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60)


def folded(line: bytes, widths: list[int]) -> bytes:
    """At any byte, also within a character, as RFC 6350 allows."""
    pieces, at = [], 0
    for width in widths:
        pieces.append(line[at : at + width])
        at += width
    return b"\r\n ".join(piece for piece in [*pieces, line[at:]] if piece)


@given(NASTY, st.lists(st.integers(1, 9), max_size=20), st.integers(1, 50))
def test_folding_is_undone_wherever_it_was_made(text, widths, piece):
    line = b"NOTE:" + text.encode()
    # The first piece holds the name: what begins a line with a space would continue the one before it.
    data = folded(line, [5, *widths]) + b"\r\nFN:x\r\n"
    unfolder = Unfolder("utf-8")
    for start in range(0, len(data), piece):
        unfolder.feed(data[start : start + piece])
    unfolder.feed(b"", final=True)
    assert list(unfolder.lines) == [(line, False), (b"FN:x", False)]


@given(NASTY, st.integers(1, 50))
def test_quoted_printable_is_undone_across_its_soft_ends(text, piece):
    encoded = quopri.encodestring(text.encode(), quotetabs=True).replace(b"\n", b"\r\n")
    data = b"BEGIN:VCARD\r\nNOTE;ENCODING=QUOTED-PRINTABLE:" + encoded + b"\r\nEND:VCARD\r\n"
    # A byte order mark at the start of a text is none of it.
    expected = unescaped(text.removeprefix("\ufeff")).strip()
    assert read(data, piece=piece) == [{"note": expected} if expected else {}]


@given(st.lists(st.text(max_size=6), min_size=1, max_size=5))
def test_structured_texts_come_apart_where_they_were_joined(parts):
    joined = ";".join(part.replace("\\", "\\\\").replace(";", "\\;") for part in parts)
    assert [unescaped(part) for part in split(joined, ";")] == parts


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_are_read(noise, piece):
    found = read(b"BEGIN:VCARD\n" + noise + b"\nEND:VCARD\nBEGIN:VCARD\nFN:x\nEND:VCARD\n", piece=piece)
    assert found


def test_cards_that_do_not_end_cost_nobody_else():
    missing = "The card has no END:VCARD."
    assert read("BEGIN:VCARD\nFN:a\n" + card("FN:b") + "BEGIN:VCARD\nFN:c\n") == [missing, {"name": "b"}, missing]
    # Nor does an agent that does not end: what begins without being announced is a card of its own.
    assert read("BEGIN:VCARD\nAGENT:\nBEGIN:VCARD\nFN:x\n" + card("FN:b")) == [missing, {"name": "b"}]
    assert read("FN:stray\nEND:VCARD\n" + card("FN:b")) == [{"name": "b"}]


def test_nesting_is_counted_not_climbed():
    deep = "AGENT:\nBEGIN:VCARD\n" * 100_000
    assert read("BEGIN:VCARD\nFN:a\n" + deep + "END:VCARD\n" * 100_001 + card("FN:b")) == [{"name": "a"}, {"name": "b"}]


@pytest.mark.parametrize("fold", [b"", b"\r\n "])
def test_a_photo_of_50_mb_is_read_and_forgotten(fold):
    block = base64.b64encode(b"x" * 48 * 1024) + fold
    reader = Cards("utf-8")
    tracemalloc.start()
    reader.feed(b"BEGIN:VCARD\r\nFN:a\r\nPHOTO;ENCODING=b;TYPE=JPEG:")
    for _ in range(50 * 1024 // 64):
        reader.feed(block)
    reader.feed(b"\r\nTEL:+14155552671\r\nEND:VCARD\r\n", final=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [shown(record) for _, record in reader.take(9)] == [{"name": "a", "phone": "+14155552671"}]
    assert peak < 2_000_000


def test_what_is_too_long_is_told():
    long = f"NOTE of the card is longer than {LINE_BYTES // 1024} KiB."
    assert read(card("NOTE:" + "x" * LINE_BYTES) + card("FN:b")) == [long, {"name": "b"}]
    assert read(card(*["TEL:+1"] * 1_001)) == ["The card is too large."]
    assert read(card(*["NOTE:" + "x" * 60_000] * 20)) == ["The card is too large."]
