"""multipart/form-data, parsed while it arrives. What passes through is never held: no spool file, no whole part.

`Form.feed(bytes)` gives back what those bytes completed: a field, the beginning of the file, some of the file's bytes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from chassis.pointers import escaped
from services.gateway.errors import malformed, media_type, refused_field, upload_incomplete
from services.gateway.problem import FieldCode

FILE = "file"
FIELD_LIMIT_BYTES = 64 * 1024
MAX_FIELDS = 200


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FileBegins:
    file_name: str
    content_type: str


@dataclass(frozen=True, slots=True)
class FileBytes:
    data: bytes


Event = Field | FileBegins | FileBytes


def boundary_of(content_type: str | None) -> bytes:
    """Raises UnsupportedMediaType where the body is no form, InvalidArgument where it has no boundary."""
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise media_type("a form with a file (`Content-Type: multipart/form-data`)")
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:
        raise malformed("The Content-Type has no usable boundary.")
    return boundary


class Form:
    """One form with exactly one part called `file`, and fields of the given names; None: of any."""

    def __init__(self, boundary: bytes, *, fields: frozenset[str] | None) -> None:
        self._fields = fields
        self._events: list[Event] = []
        self._ended = False
        self._files = 0
        self._field_count = 0
        # Of the part being read.
        self._headers: dict[bytes, bytes] = {}
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._field_name: str | None = None
        self._field_value = bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_end": self._on_end,
            },
        )

    def feed(self, data: bytes) -> Iterator[Event]:
        """Raises InvalidArgument for a form that is malformed or has parts that it should not have."""
        if self._ended:
            return
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise malformed("The body is not well-formed multipart/form-data.") from error
        events, self._events = self._events, []
        yield from events

    def close(self) -> None:
        """At the end of the body. Raises InvalidArgument where the form was cut off or had no file."""
        if not self._ended:
            raise upload_incomplete()
        if not self._files:
            raise refused_field(f"/{FILE}", FieldCode.REQUIRED, f"The form needs a part named `{FILE}` with the file.")

    # --- what the parser calls, in this order

    def _on_part_begin(self) -> None:
        self._headers = {}

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[bytes(self._header_name).lower()] = bytes(self._header_value)
        self._header_name.clear()
        self._header_value.clear()

    def _on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition"))
        name = text(options.get(b"name", b""))
        if kind != b"form-data" or not name:
            raise malformed("A part of the form has no name.")
        if name == FILE:
            self._begin_file(options)
        else:
            self._begin_field(name)

    def _begin_file(self, options: dict[bytes, bytes]) -> None:
        self._files += 1
        if self._files > 1:
            raise refused_field(f"/{FILE}", FieldCode.DUPLICATE, "The form may hold one file only.")
        self._field_name = None
        file_name = text(options.get(b"filename", b""))[:255]
        self._events.append(FileBegins(file_name, text(self._headers.get(b"content-type", b""))[:255]))

    def _begin_field(self, name: str) -> None:
        self._field_count += 1
        unknown = self._fields is not None and name not in self._fields
        if unknown or self._field_count > MAX_FIELDS:
            known = ", ".join(sorted(self._fields or ()))
            raise refused_field(
                f"/{escaped(name[:64])}", FieldCode.UNKNOWN_FIELD, f"The form may hold `{FILE}`, {known}."
            )
        self._field_name = name
        self._field_value.clear()

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._field_name is None:
            self._events.append(FileBytes(data[start:end]))
            return
        self._field_value += data[start:end]
        if len(self._field_value) > FIELD_LIMIT_BYTES:
            raise refused_field(f"/{self._field_name}", FieldCode.TOO_LONG, "The field is too long.")

    def _on_part_end(self) -> None:
        if self._field_name is not None:
            self._events.append(Field(self._field_name, text(bytes(self._field_value))))
            self._field_name = None

    def _on_end(self) -> None:
        self._ended = True


def text(raw: bytes) -> str:
    """Raises InvalidArgument for what is no text."""
    try:
        found = raw.decode()
    except UnicodeDecodeError:
        found = raw.decode("latin-1")
    if "\x00" in found:
        raise malformed("A part of the form holds a NUL character where text is due.")
    return found
