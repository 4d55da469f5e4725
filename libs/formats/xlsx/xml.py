"""Reads the XML parts of a workbook as they stream by: no tree, no entities, no token without a bound."""

from collections.abc import Callable, Iterable, Iterator
from xml.parsers import expat

from formats.records import Unreadable

# A single tag, with its attributes. Text comes in small pieces however long it is.
MAX_TOKEN = 1024 * 1024

Start = Callable[[str, dict[str, str]], None]
End = Callable[[str], None]


def refuse_doctype(*_: object) -> None:
    """No writer of workbooks declares one, and entities that expand to a billion others begin here."""
    raise Unreadable("The workbook declares XML entities, which no spreadsheet program does.")


def steps(pieces: Iterable[bytes], *, start: Start, end: End, text: Callable[[str], None]) -> Iterator[int]:
    """Calls start and end for elements of the root's namespace, text with what lies between; yields the bytes read.

    Raises expat.ExpatError, Unreadable.
    """
    parser = expat.ParserCreate()

    def root(tag: str, attributes: dict[str, str]) -> None:
        # Some writers give every element of theirs a prefix, most give it to none.
        prefix = tag[: -len(local(tag))]
        parser.StartElementHandler = without(prefix, start) if prefix else start
        parser.EndElementHandler = without(prefix, end) if prefix else end
        start(local(tag), attributes)

    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = refuse_doctype
    parser.StartElementHandler = root
    parser.CharacterDataHandler = text
    fed = 0
    for piece in pieces:
        parser.Parse(piece, False)
        fed += len(piece)
        if fed - max(0, parser.CurrentByteIndex) > MAX_TOKEN:
            raise Unreadable("The workbook has a part that is no table.")
        yield fed
    parser.Parse(b"", True)
    yield fed


def without(prefix: str, handler: Callable[..., None]) -> Callable[..., None]:
    return lambda tag, *rest: handler(tag.removeprefix(prefix), *rest)


def walk(pieces: Iterable[bytes], start: Start) -> None:
    """The elements alone, of a part that is all attributes."""
    for _ in steps(pieces, start=start, end=lambda _: None, text=lambda _: None):
        pass


def local(name: str) -> str:
    """Without the prefix of its namespace."""
    return name.rpartition(":")[2] if ":" in name else name


def attribute(attributes: dict[str, str], name: str) -> str:
    """By its local name; empty where it is not there."""
    return next((value for key, value in attributes.items() if local(key) == name), "")
