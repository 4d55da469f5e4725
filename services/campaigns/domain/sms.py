"""How a text travels as SMS: in which alphabet, and in how many parts.

GSM-7 and its extension table: 3GPP TS 23.038, 6.2.1. A message has 140 octets: 160 characters of 7 bits, or 70 of 16
(UCS-2). A longer one goes in parts, each with a header of 6 octets (3GPP TS 23.040, 9.2.3.24.1) that leave 134: 153
characters of 7 bits, or 67 of 16. An extended character takes two of 7 bits and one outside the basic plane two of 16;
neither is divided between two parts.
"""

from dataclasses import dataclass

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENDED = frozenset("\f^{}\\[~]|€")
GSM7, UCS2 = "gsm7", "ucs2"
# Characters of one part that is alone, and of one of several.
ALONE = {GSM7: 160, UCS2: 70}
JOINED = {GSM7: 153, UCS2: 67}


@dataclass(frozen=True, slots=True)
class Size:
    # `gsm7` or `ucs2`.
    encoding: str
    # Of the encoding: extended ones, and those outside the basic plane, count twice.
    characters: int
    parts: int


def size(text: str) -> Size:
    encoding = GSM7 if all(character in BASIC or character in EXTENDED for character in text) else UCS2
    widths = [width(character, encoding) for character in text]
    total = sum(widths)
    if total <= ALONE[encoding]:
        return Size(encoding, total, 1)
    parts, left = 1, JOINED[encoding]
    for one in widths:
        if one > left:
            parts, left = parts + 1, JOINED[encoding]
        left -= one
    return Size(encoding, total, parts)


def width(character: str, encoding: str) -> int:
    if encoding == GSM7:
        return 2 if character in EXTENDED else 1
    return 2 if ord(character) > 0xFFFF else 1
