"""Sending windows and quiet hours: `21:00` here is a minute of the day there."""

from typing import Any

from carillon.campaigns.v1 import campaigns_pb2 as pb
from services.gateway.convert.values import Names
from services.gateway.schemas.campaigns import QuietHours, SendingWindows

WEEKDAYS = Names(pb.Weekday, "WEEKDAY_", unspecified="")


def new_windows(body: SendingWindows) -> pb.SendingWindows:
    return pb.SendingWindows(
        timezone=body.timezone or "",
        windows=[
            pb.SendingWindow(
                days=[WEEKDAYS.value(day) for day in one.days],
                start_minute=minute(one.start),
                end_minute=minute(one.end),
            )
            for one in body.windows
        ],
    )


def windows(source: pb.SendingWindows) -> dict[str, Any]:
    return {
        "timezone": source.timezone or None,
        "windows": [
            {
                "days": [WEEKDAYS.text(day) for day in one.days],
                "start": clock(one.start_minute),
                "end": clock(one.end_minute),
            }
            for one in source.windows
        ],
    }


def new_quiet_hours(body: QuietHours) -> pb.QuietHours | None:
    """None where there shall be none."""
    if body.start is None or body.end is None:
        return None
    return pb.QuietHours(start_minute=minute(body.start), end_minute=minute(body.end), timezone=body.timezone or "")


def quiet_hours(source: pb.QuietHours | None) -> dict[str, Any]:
    if source is None:
        return {"start": None, "end": None, "timezone": None}
    return {
        "start": clock(source.start_minute),
        "end": clock(source.end_minute),
        "timezone": source.timezone or None,
    }


def minute(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def clock(minute_of_day: int) -> str:
    hours, minutes = divmod(minute_of_day, 60)
    return f"{hours:02}:{minutes:02}"
