"""What a workbook consists of: its sheets in order, its texts, its formats."""

import posixpath
from array import array
from dataclasses import dataclass

from formats.records import CELL_CHARACTERS, Unreadable
from formats.xlsx import xml
from formats.xlsx.archive import Archive
from formats.xlsx.cells import Kind, kind_of

# Of all shared texts. Held packed, so that a million names and emails take some 60 MB.
MAX_STRINGS_BYTES = 128 * 1024**2
NOT_A_WORKBOOK = "The file is a ZIP archive, but no Excel workbook (.xlsx); send the sheet as XLSX or CSV."


@dataclass(frozen=True, slots=True)
class Sheet:
    name: str
    part: str
    hidden: bool


class Workbook:
    def __init__(self, archive: Archive) -> None:
        """Raises Unreadable, and what a damaged archive raises."""
        self.archive = archive
        main, self._related = self._main()
        self.epoch_1904 = False
        self.sheets: list[Sheet] = []
        xml.walk(archive.pieces(main), self._main_element)

    def _main(self) -> tuple[str, dict[str, tuple[str, str]]]:
        top = self._relations("")
        found = [target for kind, target in top.values() if kind == "officeDocument" and target in self.archive]
        main = found[0] if found else "xl/workbook.xml"
        if main not in self.archive or main.startswith(("word/", "ppt/")) or main.endswith(".bin"):
            raise Unreadable(NOT_A_WORKBOOK)
        return main, self._relations(main)

    def _relations(self, part: str) -> dict[str, tuple[str, str]]:
        """By id: the kind and the part that it leads to."""
        folder, name = posixpath.split(part)
        where = posixpath.join(folder, "_rels", f"{name}.rels")
        related: dict[str, tuple[str, str]] = {}

        def start(tag: str, attributes: dict[str, str]) -> None:
            if tag == "Relationship":
                target = attributes.get("Target", "").replace("\\", "/")
                path = target.lstrip("/") if target.startswith("/") else posixpath.join(folder, target)
                kind = attributes.get("Type", "").rpartition("/")[2]
                related[attributes.get("Id", "")] = (kind, posixpath.normpath(path))

        if where in self.archive:
            xml.walk(self.archive.pieces(where), start)
        return related

    def _main_element(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "workbookPr":
            self.epoch_1904 = attributes.get("date1904", "0") in ("1", "true")
        elif tag == "sheet":
            # `r:id`; the sheet has an `sheetId` of another meaning besides.
            kind, part = self._related.get(xml.attribute(attributes, "id"), ("", ""))
            if kind == "worksheet" and part in self.archive:
                hidden = attributes.get("state", "visible") != "visible"
                self.sheets.append(Sheet(attributes.get("name", ""), part, hidden))

    def strings(self, count: int | None = None) -> "Strings":
        """The texts that cells refer to; of the first `count` where that is enough."""
        strings = Strings()
        part = self._part("sharedStrings")
        if part and count != 0:
            for _ in xml.steps(self.archive.pieces(part), start=strings.start, end=strings.end, text=strings.text):
                if count is not None and len(strings) >= count:
                    break
        return strings

    def formats(self) -> list[Kind]:
        """By style: what its numbers mean."""
        codes: dict[int, str] = {}
        ids: list[int] = []
        inside = False

        def start(tag: str, attributes: dict[str, str]) -> None:
            nonlocal inside
            if tag == "numFmt":
                codes[int(attributes.get("numFmtId", "0"))] = attributes.get("formatCode", "")
            elif tag in ("cellXfs", "cellStyleXfs"):
                inside = tag == "cellXfs"
            elif tag == "xf" and inside:
                ids.append(int(attributes.get("numFmtId", "0")))

        if part := self._part("styles"):
            xml.walk(self.archive.pieces(part), start)
        return [kind_of(number, codes.get(number)) for number in ids]

    def _part(self, kind: str) -> str:
        found = [part for other, part in self._related.values() if other == kind and part in self.archive]
        return found[0] if found else ""


class Strings:
    """Shared texts, packed. An over-long one is kept one character too long, which a row is then refused for."""

    def __init__(self) -> None:
        self._packed = bytearray()
        self._ends = array("Q")
        self._texts: list[str] = []
        self._length = 0
        self._on = False
        self._phonetic = False

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, at: int) -> str:
        """Raises IndexError."""
        if not 0 <= at < len(self._ends):
            raise IndexError(at)
        begin = self._ends[at - 1] if at else 0
        return self._packed[begin : self._ends[at]].decode("utf-8", "surrogatepass")

    def start(self, tag: str, _: dict[str, str]) -> None:
        if tag == "t":
            self._on = not self._phonetic
        elif tag == "rPh":
            # How the text is read aloud, in Japanese: it is not part of it.
            self._phonetic = True
        elif tag == "si":
            self._texts, self._length = [], 0

    def text(self, data: str) -> None:
        if self._on and self._length <= CELL_CHARACTERS:
            self._texts.append(data)
            self._length += len(data)

    def end(self, tag: str) -> None:
        if tag == "t":
            self._on = False
        elif tag == "rPh":
            self._phonetic = False
        elif tag == "si":
            text = "".join(self._texts)[: CELL_CHARACTERS + 1]
            self._packed += text.encode("utf-8", "surrogatepass")
            self._ends.append(len(self._packed))
            if len(self._packed) > MAX_STRINGS_BYTES:
                raise Unreadable("The workbook holds too much text; save the sheet as CSV.")
