"""Writes XLSX files, such as spreadsheet programs write and such as nobody should."""

import io
import zipfile
from collections.abc import Iterable
from typing import Any
from xml.sax.saxutils import escape

OPEN_XML = "http://schemas.openxmlformats.org"
RELATION = f"{OPEN_XML}/officeDocument/2006/relationships"
CONTENT_TYPES = f'<Types xmlns="{OPEN_XML}/package/2006/content-types"/>'
SHEET_HEAD = f'<?xml version="1.0"?><worksheet xmlns="{OPEN_XML}/spreadsheetml/2006/main"><sheetData>'
SHEET_TAIL = "</sheetData></worksheet>"


def relations(targets: Iterable[tuple[str, str]]) -> str:
    """targets: kind and part; their ids are r1, r2, …"""
    items = "".join(
        f'<Relationship Id="r{at}" Type="{RELATION}/{kind}" Target="{part}"/>'
        for at, (kind, part) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{OPEN_XML}/package/2006/relationships">{items}</Relationships>'


def letters(column: int) -> str:
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name


def cell(value: object, reference: str) -> str:
    """Numbers and booleans as such, texts in place, a tuple as (type, style, value), None as no cell."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        kind, style, text = value
        return f'<c r="{reference}" t="{kind}" s="{style}"><v>{escape(str(text))}</v></c>'
    if isinstance(value, bool):
        return f'<c r="{reference}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, int | float):
        return f'<c r="{reference}"><v>{value!r}</v></c>'
    return f'<c r="{reference}" t="inlineStr"><is><t xml:space="preserve">{escape(str(value))}</t></is></c>'


def sheet(rows: Iterable[Any]) -> str:
    """Of rows of cells."""
    made = [
        f'<row r="{at}">{"".join(cell(value, f"{letters(column)}{at}") for column, value in enumerate(row))}</row>'
        for at, row in enumerate(rows, 1)
    ]
    return SHEET_HEAD + "".join(made) + SHEET_TAIL


def workbook(
    sheets: dict[str, str],
    *,
    strings: str | None = None,
    styles: str | None = None,
    settings: str = "",
    hidden: Iterable[str] = (),
    extra: dict[str, bytes] | None = None,
) -> bytes:
    """sheets: the XML of each by its name. strings, styles: the parts' XML."""
    targets = [("worksheet", f"worksheets/sheet{at}.xml") for at in range(1, len(sheets) + 1)]
    states = ["hidden" if name in hidden else "visible" for name in sheets]
    listed = "".join(
        f'<sheet name="{escape(name)}" sheetId="{at}" r:id="r{at}" state="{state}"/>'
        for at, (name, state) in enumerate(zip(sheets, states, strict=True), 1)
    )
    parts = {
        "[Content_Types].xml": CONTENT_TYPES,
        "_rels/.rels": relations([("officeDocument", "xl/workbook.xml")]),
        "xl/workbook.xml": f'<workbook xmlns="{OPEN_XML}/spreadsheetml/2006/main" xmlns:r="{RELATION}">{settings}'
        f"<sheets>{listed}</sheets></workbook>",
        **{f"xl/{part}": text for (_, part), text in zip(targets, sheets.values(), strict=True)},
    }
    for kind, part, text in (("sharedStrings", "sharedStrings.xml", strings), ("styles", "styles.xml", styles)):
        if text is not None:
            targets.append((kind, part))
            parts[f"xl/{part}"] = text
    parts["xl/_rels/workbook.xml.rels"] = relations(targets)
    return zipped({**{name: text.encode() for name, text in parts.items()}, **(extra or {})})


def zipped(parts: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return file.getvalue()


def table(rows: Iterable[Any]) -> bytes:
    """A workbook of one sheet."""
    return workbook({"Contacts": sheet(rows)})


def bomb(megabytes: int) -> bytes:
    """A sheet that is that large when it is inflated, and a thousandth of it before."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", CONTENT_TYPES)
        archive.writestr("_rels/.rels", relations([("officeDocument", "xl/workbook.xml")]))
        archive.writestr("xl/_rels/workbook.xml.rels", relations([("worksheet", "worksheets/sheet1.xml")]))
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns:r="{RELATION}"><sheets><sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
        )
        with archive.open("xl/worksheets/sheet1.xml", "w") as part:
            part.write(SHEET_HEAD.encode() + b'<row><c t="inlineStr"><is><t>phone</t></is></c></row>')
            for _ in range(megabytes):
                part.write(b" " * 1024**2)
            part.write(SHEET_TAIL.encode())
    return file.getvalue()
