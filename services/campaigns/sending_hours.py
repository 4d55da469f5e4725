"""Sending windows and quiet hours between the wire, the database and the rules."""

from typing import Any

import asyncpg
import orjson

from carillon.campaigns.v1 import campaigns_pb2 as pb
from services.campaigns import errors, zones
from services.campaigns.domain.hours import DAY, Hours, QuietHours, Span, Window, Windows

MAX_WINDOWS = 20


def read_windows(message: pb.SendingWindows) -> Windows:
    """Raises InvalidArgument."""
    if not 1 <= len(message.windows) <= MAX_WINDOWS:
        raise errors.invalid("/sending_windows/windows", f"sending_windows has 1 to {MAX_WINDOWS} windows.")
    check_zone(message.timezone, "/sending_windows/timezone")
    return Windows(tuple(window(one, at) for at, one in enumerate(message.windows)), message.timezone)


def window(message: pb.SendingWindow, at: int) -> Window:
    pointer = f"/sending_windows/windows/{at}"
    days = tuple(sorted({day - 1 for day in message.days}))
    if not days or days[0] < 0 or days[-1] > 6:
        raise errors.invalid(f"{pointer}/days", "A window names at least one day of the week.")
    if not 0 <= message.start_minute < message.end_minute <= DAY:
        raise errors.invalid(
            f"{pointer}/end", "A window ends after it starts, on the same day; one over midnight is two."
        )
    return Window(days, Span(message.start_minute, message.end_minute))


def read_quiet(message: pb.QuietHours) -> QuietHours:
    """Raises InvalidArgument."""
    for name, minute in (("start", message.start_minute), ("end", message.end_minute)):
        if not 0 <= minute < DAY:
            raise errors.invalid(f"/{name}", f"{name} is a time of day from 00:00 to 23:59.")
    if message.start_minute == message.end_minute:
        raise errors.invalid("/end", "Quiet hours that end when they start would be all day or none of it.")
    check_zone(message.timezone, "/timezone")
    return QuietHours(message.start_minute, message.end_minute, message.timezone)


def check_zone(name: str, pointer: str) -> None:
    if name and not zones.is_zone(name):
        raise errors.invalid(pointer, "timezone is a name of the IANA database, such as Europe/Berlin.")


def dumped(windows: Windows | None) -> str | None:
    """As the campaign's row has it."""
    if windows is None:
        return None
    rows = [[list(one.days), one.span.start, one.span.end] for one in windows.windows]
    return orjson.dumps({"timezone": windows.timezone, "windows": rows}).decode()


def loaded(text: str | None) -> Windows | None:
    if text is None:
        return None
    found: dict[str, Any] = orjson.loads(text)
    rows = (Window(tuple(days), Span(start, end)) for days, start, end in found["windows"])
    return Windows(tuple(rows), found["timezone"])


def hours(row: asyncpg.Record) -> Hours:
    """row: of repository.dispatch.context."""
    quiet = None
    if row["quiet_start"] is not None:
        quiet = QuietHours(row["quiet_start"], row["quiet_end"], row["quiet_timezone"])
    return Hours(loaded(row["sending_windows"]), quiet)


def message(windows: Windows | None) -> pb.SendingWindows | None:
    if windows is None:
        return None
    return pb.SendingWindows(
        timezone=windows.timezone,
        windows=[
            pb.SendingWindow(
                days=[pb.Weekday.ValueType(day + 1) for day in one.days],
                start_minute=one.span.start,
                end_minute=one.span.end,
            )
            for one in windows.windows
        ],
    )
