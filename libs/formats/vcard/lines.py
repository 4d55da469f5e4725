"""Unfolds the lines of a vCard file, in constant memory however long a line is (a photo is one line of megabytes)."""

import codecs
import re
from collections import deque

from formats.records import Encoding

# Kept of a line; what is beyond is read and forgotten.
LINE_BYTES = 64 * 1024
QUOTED_PRINTABLE = re.compile(rb"[^:]*;\s*(?:ENCODING\s*=\s*)?QUOTED-PRINTABLE", re.IGNORECASE)
# A line, and whether it was longer than what is kept.
Line = tuple[bytes, bool]


class Unfolder:
    """Bytes go in with `feed`, whole lines come out of `lines`.

    A line that begins with a space or a tab continues the one before; so does, in quoted-printable, any line after one
    that ends in `=`. Folds may part the bytes of one character, so bytes are joined before they are decoded.
    """

    def __init__(self, encoding: Encoding) -> None:
        wide = encoding.startswith("utf-16")
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace") if wide else None
        self.lines: deque[Line] = deque()
        self._line: bytearray | None = None
        self._over = False
        self._soft = False
        self._fresh = True

    def feed(self, data: bytes, *, final: bool = False) -> None:
        if self._decoder is not None:
            data = self._decoder.decode(data, final).encode("utf-8", "replace")
        *ended, rest = data.split(b"\n")
        for piece in ended:
            self._piece(piece)
            self._end_of_line()
        self._piece(rest)
        if final:
            self._end_of_line()
            self._emit()

    def _piece(self, piece: bytes) -> None:
        """Some bytes of one line of the file."""
        if not piece:
            return
        if self._fresh:
            self._fresh = False
            folded = piece[:1] in (b" ", b"\t") and self._line is not None
            if folded and not self._soft:
                piece = piece[1:]
            elif not self._soft:
                self._emit()
                self._line = bytearray()
        if self._line is None:
            self._line = bytearray()
        room = LINE_BYTES - len(self._line)
        self._over = self._over or len(piece.rstrip(b"\r")) > room
        self._line += piece[: max(0, room)]

    def _end_of_line(self) -> None:
        if self._fresh:
            # A blank line continues nothing.
            self._emit()
            return
        self._fresh = True
        self._soft = False
        if self._line is None or self._over:
            return
        if self._line.endswith(b"\r"):
            del self._line[-1:]
        if self._line.endswith(b"=") and QUOTED_PRINTABLE.match(self._line):
            self._soft = True
            del self._line[-1:]

    def _emit(self) -> None:
        if self._line:
            self.lines.append((bytes(self._line), self._over))
        self._line, self._over, self._soft = None, False, False
