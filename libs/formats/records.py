"""Reads the records of a delimited text file (RFC 4180, loosely) from pieces of any size, in constant memory.

Bytes go in with `feed`, records come out with `take`. A record number counts every record from 1, blank ones too.
"""

import codecs
import csv
import io
from collections import deque
from dataclasses import dataclass
from typing import Literal

Encoding = Literal["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"]

CELL_CHARACTERS = 131_072
RECORD_CHARACTERS = 1_048_576
# A file with more is not what it seems to be; each costs a second look at what follows it.
BROKEN_RECORDS = 100


# Told in place of Unreadable's message where it is not the file's fault; nothing but these words tells the two apart.
FAILED_ON_OUR_SIDE = "The import failed on our side; the rows counted were imported."


class Unreadable(Exception):
    """The file cannot be read on; the message is for a person."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that is no record, with the reason; reading goes on at the next line."""

    reason: str


Record = tuple[int, list[str] | Broken]


class NeedMore(Exception):
    """The lines at hand end within a record."""


class Unclosed(Exception):
    """A quoted cell never ends."""


def as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    """For bytes that are not UTF-8 in a file that is so far: an old editor's accents, mostly."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", errors="replace"), error.end


codecs.register_error("windows-1252", as_windows_1252)


class Lines:
    """What csv.reader pulls its lines from. Lines of an unfinished record can be put back."""

    def __init__(self) -> None:
        self.waiting: deque[str] = deque()
        self.pulled: list[str] = []
        self.pulled_characters = 0
        self.ended = False

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        if not self.waiting:
            if not self.ended:
                raise NeedMore
            if self.pulled:
                raise Unclosed
            raise StopIteration
        line = self.waiting.popleft()
        self.pulled.append(line)
        self.pulled_characters += len(line)
        if self.pulled_characters > RECORD_CHARACTERS:
            raise Unclosed
        return line

    def record_ended(self) -> None:
        self.pulled.clear()
        self.pulled_characters = 0

    def put_back(self, first: int) -> None:
        """The pulled lines from index `first` on are read again."""
        self.waiting.extendleft(reversed(self.pulled[first:]))
        self.record_ended()


class Records:
    def __init__(self, *, encoding: Encoding, delimiter: str) -> None:
        # UTF-16 may hold lone surrogates; UTF-8 was perhaps only seen at the file's head.
        errors = "windows-1252" if encoding.startswith("utf-8") else "replace"
        self._decoder = codecs.getincrementaldecoder(encoding)(errors=errors)
        self._carry = ""
        self._lines = Lines()
        csv.field_size_limit(CELL_CHARACTERS)
        self._reader = csv.reader(self._lines, delimiter=delimiter)
        self._number = 0
        self._broken = 0
        # Why nothing is read behind the records at hand.
        self._unreadable: Unreadable | None = None

    def feed(self, data: bytes, *, final: bool = False) -> None:
        text = self._carry + self._decoder.decode(data, final)
        # StringIO parts lines at \\n, \\r and \\r\\n only, unlike splitlines, and keeps the ends.
        lines = list(io.StringIO(text, newline=""))
        self._carry = ""
        # A \\r at the end may be half of \\r\\n.
        if lines and not final and not lines[-1].endswith("\n"):
            self._carry = lines.pop()
            if len(self._carry) > RECORD_CHARACTERS:
                self._unreadable = Unreadable(f"A line is longer than {RECORD_CHARACTERS} characters.")
        self._lines.waiting.extend(lines)
        self._lines.ended = final

    def take(self, limit: int) -> list[Record]:
        """Up to `limit` whole records; fewer when more must be fed, or at the end.

        Raises Unreadable once every record before that point was taken.
        """
        taken: list[Record] = []
        while len(taken) < limit:
            try:
                cells: list[str] | Broken = next(self._reader)
            except NeedMore:
                self._lines.put_back(0)
                break
            except StopIteration:
                break
            except Unclosed:
                cells = self._break("A quotation mark is not closed.")
            except csv.Error as error:
                cells = self._break(f"The row cannot be read: {error}.")
            else:
                self._lines.record_ended()
            self._number += 1
            taken.append((self._number, cells))
        if not taken and self._unreadable is not None:
            raise self._unreadable
        return taken

    def _break(self, reason: str) -> Broken:
        """Give up the first line alone, so that one stray quotation mark does not swallow the rows after it."""
        self._lines.put_back(1)
        self._broken += 1
        if self._broken > BROKEN_RECORDS:
            self._unreadable = Unreadable(f"More than {BROKEN_RECORDS} rows cannot be read as CSV.")
            self._lines.waiting.clear()
        return Broken(reason)
