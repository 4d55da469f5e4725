"""Files of one JSON object a line that are only appended to."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson


class Appender:
    """Each line is with the operating system when `append` returns: a killed process loses none of them."""

    def __init__(self, path: Path) -> None:
        end_last_line(path)
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def append(self, line: Mapping[str, Any]) -> None:
        os.write(self._file, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    def append_all(self, several: Sequence[Mapping[str, Any]]) -> None:
        """In one write: a reader sees all of them or none."""
        os.write(self._file, b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in several))

    def close(self) -> None:
        os.close(self._file)


def end_last_line(path: Path) -> None:
    """A line that a full disk or a crash cut short must not swallow the next one."""
    if path.exists() and path.stat().st_size:
        with path.open("rb+") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of the file, none when it is absent."""
    if not path.exists():
        return
    with path.open("rb") as file:
        for line in file:
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError:
                continue
