"""What a file is by its first bytes, whatever its name says."""

import codecs
import re
from typing import Literal

from formats.records import Unreadable

Kind = Literal["csv", "xlsx", "vcard"]

ZIP = b"PK\x03\x04"
VCARD = re.compile(r"\s*BEGIN[ \t]*:[ \t]*VCARD", re.IGNORECASE)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
MAGIC = (
    # A workbook behind a password is stored like an old one.
    (OLE, "Old Excel files (.xls) and workbooks with a password are not read; save the sheet as a plain XLSX or CSV."),
    (b"PK\x05\x06", "The ZIP archive is empty."),
    (b"%PDF", "PDF files are not read; send CSV, XLSX or vCard."),
    (b"\x1f\x8b", "Compressed files are not read; send the file itself."),
    (b"BZh", "Compressed files are not read; send the file itself."),
    (b"\xfd7zXZ", "Compressed files are not read; send the file itself."),
    (b"7z\xbc\xaf", "Compressed files are not read; send the file itself."),
    (b"Rar!", "Compressed files are not read; send the file itself."),
    (b"\x28\xb5\x2f\xfd", "Compressed files are not read; send the file itself."),
    (b"\x89PNG", "The file is a picture; send CSV, XLSX or vCard."),
    (b"GIF8", "The file is a picture; send CSV, XLSX or vCard."),
    (b"\xff\xd8\xff", "The file is a picture; send CSV, XLSX or vCard."),
    (b"SQLite format 3", "The file is a database; send CSV, XLSX or vCard."),
    (b"PAR1", "Parquet files are not read; send CSV, XLSX or vCard."),
    (b"{\\rtf", "The file is a text document; send CSV, XLSX or vCard."),
    (codecs.BOM_UTF32_LE, "UTF-32 is not read; send UTF-8."),
    (codecs.BOM_UTF32_BE, "UTF-32 is not read; send UTF-8."),
)
XML = re.compile(r"\s*<[?!a-z]", re.IGNORECASE)
PAGE = re.compile(r"<(!doctype\s+html|html|head|body|table)\b", re.IGNORECASE)
JSON = re.compile(r'\s*(\[\s*)?\{\s*"')
A_PAGE = (
    "The file is a web page, as some programs export it under the name .xls; open it in a spreadsheet program and "
    "save it as XLSX or CSV."
)
MARKUP_BYTES = 4096


def kind_of(head: bytes) -> Kind:
    """Raises Unreadable for what is none of the three, with what to do about it."""
    if head.startswith(ZIP):
        return "xlsx"
    for magic, reason in MAGIC:
        if head.startswith(magic):
            raise Unreadable(reason)
    text = head[:MARKUP_BYTES].replace(b"\0", b"").removeprefix(codecs.BOM_UTF8).lstrip(b"\xff\xfe").decode("latin-1")
    if VCARD.match(text):
        return "vcard"
    if XML.match(text):
        raise Unreadable(A_PAGE if PAGE.search(text) else "XML files are not read; save the sheet as XLSX or CSV.")
    if JSON.match(text):
        raise Unreadable("JSON files are not read; send CSV, XLSX or vCard.")
    return "csv"
