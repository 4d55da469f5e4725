"""One property of a vCard, as of versions 2.1, 3.0 and 4.0: its name, its types, its text."""

import base64
import binascii
import codecs
import quopri
import re
from typing import NamedTuple

# Character sets that vCards 2.1 name; others are read as if none was named.
CHARSET = re.compile(
    r"utf-?8|us-ascii|ascii|iso-?8859-\d{1,2}|windows-\d{3,4}|cp\d{3,4}|koi8-[ru]|shift[-_]jis|euc-(jp|kr)|iso-2022-jp"
    r"|gb2312|gbk|gb18030|big5",
    re.IGNORECASE,
)
NAME = re.compile(rb"\s*(?:[A-Za-z0-9-]{1,64}\.)?([A-Za-z0-9-]{1,64})\s*[;:]")
ESCAPED = re.compile(r"\\(.)", re.DOTALL)
ENCODINGS = frozenset({"quoted-printable", "base64", "b", "8bit", "7bit"})
BOM = "\ufeff"


class Property(NamedTuple):
    """types: in lower case, those of `TYPE=` and the bare ones of version 2.1. text: decoded, its `\\,` still there."""

    name: str
    types: frozenset[str]
    # 1 is the most preferred; None where nothing was said.
    preference: int | None
    text: str

    @property
    def plain(self) -> str:
        return unescaped(self.text).strip()

    def parts(self, separator: str) -> list[str]:
        """Of a structured text, `N:Last;First;…`."""
        return [unescaped(part).strip() for part in split(self.text, separator)]


def name_of(line: bytes) -> str:
    """In capitals, without its group (`item1.TEL`); empty where the line is no property."""
    head = NAME.match(line)
    return head[1].decode().upper() if head else ""


def read_property(name: str, line: bytes) -> Property | None:
    """name: of the line. None where the line is no property after all."""
    colon = line.find(b":") if b'"' not in line else end_of_head(line)
    if colon < 0:
        return None
    types: set[str] = set()
    named: dict[str, str] = {}
    head = line[:colon].decode("utf-8", "replace")
    for parameter in (split_quoted(head) if '"' in head else head.split(";"))[1:]:
        key, given, value = parameter.partition("=")
        key, value = key.strip().lower(), value.strip().strip('"')
        if not given:
            # Version 2.1: `TEL;CELL`, `NOTE;QUOTED-PRINTABLE`.
            key, value = ("encoding", key) if key in ENCODINGS else ("type", key)
        if key == "type":
            types.update(kind.strip().lower() for kind in value.split(","))
        else:
            named[key] = value
    text = decoded(line[colon + 1 :], encoding=named.get("encoding", ""), charset=named.get("charset", ""))
    return Property(name, frozenset(types), preference(named.get("pref"), types), text)


def preference(given: str | None, types: set[str]) -> int | None:
    if given and given.isascii() and given.isdigit():
        return min(100, int(given[:4]))
    return 1 if given is not None or "pref" in types else None


def end_of_head(line: bytes) -> int:
    """Where the colon before the text is: the first outside quotation marks."""
    quoted = False
    for match in re.finditer(rb'[":]', line):
        if match[0] == b'"':
            quoted = not quoted
        elif not quoted:
            return match.start()
    # A stray quotation mark hides none.
    return line.find(b":")


def split_quoted(head: str) -> list[str]:
    return re.findall(r'(?:[^;"]|"[^"]*"|")+', head)


def decoded(data: bytes, *, encoding: str, charset: str) -> str:
    if encoding:
        data = without_encoding(data, encoding.lower())
    if charset and CHARSET.fullmatch(charset):
        try:
            return data.decode(codecs.lookup(charset).name)
        except (LookupError, UnicodeDecodeError):
            pass
    try:
        return data.decode("utf-8").removeprefix(BOM)
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def without_encoding(data: bytes, encoding: str) -> bytes:
    if encoding == "quoted-printable":
        return quopri.decodestring(data)
    if encoding in ("base64", "b"):
        try:
            return base64.b64decode(data)
        except binascii.Error:
            return b""
    return data


def split(text: str, separator: str) -> list[str]:
    """At separators that have no backslash before them."""
    if "\\" not in text:
        return text.split(separator)
    return re.findall(rf"(?:^|{separator})((?:[^{separator}\\]|\\.|\\$)*)", text, re.DOTALL)


def unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return ESCAPED.sub(lambda match: "\n" if match[1] in "nN" else match[1], text)
