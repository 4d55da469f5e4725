"""A contact as a vCard of version 3.0 (RFC 2426): what a card has room for, and an import reads from one."""

from services.contacts.domain.contact import Contact

LINE_BYTES = 75
# What a card says under names of its own or of everybody's.
TEXTS = {"X-GENDER": "gender", "LANG": "language", "TZ": "timezone", "X-EXTERNAL-ID": "external_id"}


def card(row: Contact) -> bytes:
    lines = [
        "BEGIN:VCARD",
        "VERSION:3.0",
        f"N:{escaped(row.last_name or '')};{escaped(row.first_name or '')};;;",
        # Asked for by the standard, and left blank rather than made up.
        f"FN:{escaped(row.name or '')}",
    ]
    if row.phone:
        lines.append(f"TEL;TYPE=CELL:{row.phone}")
    if row.email:
        lines.append(f"EMAIL:{escaped(row.email)}")
    if row.tags:
        lines.append(f"CATEGORIES:{','.join(map(escaped, row.tags))}")
    lines += [f"{name}:{escaped(text)}" for name, field in TEXTS.items() if (text := getattr(row, field))]
    lines.append("END:VCARD")
    return b"".join(map(folded, lines))


def escaped(text: str) -> str:
    for sign in ("\\", ",", ";"):
        text = text.replace(sign, "\\" + sign)
    return text.replace("\r\n", "\\n").replace("\n", "\\n").replace("\r", "\\n")


def folded(line: str) -> bytes:
    """At most 75 bytes a line; the next ones begin with a space. No character is parted."""
    if len(line) <= LINE_BYTES and line.isascii():
        return line.encode() + b"\r\n"
    parts: list[bytes] = []
    part = bytearray()
    for character in line:
        data = character.encode()
        if len(part) + len(data) > LINE_BYTES:
            parts.append(bytes(part))
            part = bytearray(b" ")
        part += data
    return b"\r\n".join([*parts, bytes(part)]) + b"\r\n"
