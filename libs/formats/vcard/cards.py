"""Reads the cards of a vCard file as records, one a card, with the same columns for every card.

The number of a record is the card's: 1 for the first.
"""

import re
from collections import deque

from formats.layout import SAMPLE_RECORDS, Layout, Scan
from formats.records import RECORD_CHARACTERS, Broken, Encoding, Record
from formats.vcard.contact import COLUMNS, WANTED, cells
from formats.vcard.lines import LINE_BYTES, Line, Unfolder
from formats.vcard.properties import Property, name_of, read_property

MAX_PROPERTIES = 1_000
# Lines longer than this are no BEGIN and no END.
MARK_BYTES = 64
MARK = re.compile(rb"(?:\xef\xbb\xbf)?(?:[A-Z0-9-]+\.)?(BEGIN|END):VCARD")


class Cards:
    """Bytes go in with `feed`, records come out with `take`. Constant memory: pictures are read and forgotten."""

    def __init__(self, encoding: Encoding) -> None:
        self._unfolder = Unfolder(encoding)
        self._records: deque[Record] = deque()
        self._number = 0
        self._card: Card | None = None
        # Cards within the card: an AGENT's, which are no contacts of their own.
        self._depth = 0
        self._agent = False

    def feed(self, data: bytes, *, final: bool = False) -> None:
        self._unfolder.feed(data, final=final)
        lines = self._unfolder.lines
        while lines:
            self._line(lines.popleft())
        if final and self._card is not None:
            self._close(self._card, "The card has no END:VCARD.")

    def take(self, limit: int) -> list[Record]:
        return [self._records.popleft() for _ in range(min(limit, len(self._records)))]

    def _line(self, line: Line) -> None:
        mark = mark_of(line[0])
        if mark is not None and mark[1] == b"END":
            self._end()
        elif mark is not None:
            self._begin()
        elif self._card is not None:
            name = name_of(line[0])
            # Version 2.1 puts the agent's whole card on the lines that follow; later ones put it into the text.
            self._agent = name == "AGENT"
            if self._depth == 0 and name in WANTED:
                self._card.add(line, name)

    def _begin(self) -> None:
        if self._card is not None and self._agent:
            self._agent = False
            self._depth += 1
            return
        if self._card is not None:
            self._close(self._card, "The card has no END:VCARD.")
        self._card, self._depth = Card(), 0

    def _end(self) -> None:
        self._agent = False
        if self._depth:
            self._depth -= 1
        elif self._card is not None:
            self._close(self._card, self._card.fault)

    def _close(self, card: "Card", fault: str) -> None:
        self._number += 1
        self._records.append((self._number, Broken(fault) if fault else cells(card.properties)))
        self._card, self._depth, self._agent = None, 0, False


def mark_of(line: bytes) -> re.Match[bytes] | None:
    if len(line) > MARK_BYTES or line.rstrip()[-5:].upper() != b"VCARD":
        return None
    return MARK.fullmatch(b"".join(line.split()).upper())


class Card:
    """What is kept of the card that is being read."""

    def __init__(self) -> None:
        self.properties: list[Property] = []
        self.fault = ""
        self._size = 0

    def add(self, line: Line, name: str) -> None:
        data, over = line
        self._size += len(data)
        if over:
            self.fault = self.fault or f"{name} of the card is longer than {LINE_BYTES // 1024} KiB."
        elif self._size > RECORD_CHARACTERS or len(self.properties) >= MAX_PROPERTIES:
            self.fault = self.fault or "The card is too large."
        elif (found := read_property(name, data)) is not None:
            self.properties.append(found)


def inspect(scan: Scan) -> Layout:
    """Raises Empty, Unreadable."""
    encoding = scan.vcard_encoding()
    cards = Cards(encoding)
    cards.feed(scan.head, final=scan.size <= len(scan.head))
    first = [record for _, record in cards.take(SAMPLE_RECORDS - 1)]
    samples = tuple(() if isinstance(record, Broken) else tuple(record) for record in first)
    return Layout(encoding, "", 0, COLUMNS, samples, kind="vcard")
