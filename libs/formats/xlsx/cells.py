"""A cell of a workbook as the text that a person sees in it, or would write in a CSV file."""

import re
from datetime import datetime, timedelta
from typing import Literal

Kind = Literal["number", "date", "time", "datetime", "duration"]

# Formats that have a number only; those of date and time in East Asian versions too.
BUILT_IN: dict[int, Kind] = {
    **dict.fromkeys((14, 15, 16, 17, *range(27, 32), 34, 35, 36, *range(50, 59)), "date"),
    **dict.fromkeys((18, 19, 20, 21, 32, 33, 45, 47), "time"),
    22: "datetime",
    46: "duration",
}
# What of a format's code is shown as it stands, or says a colour, a language, a condition.
LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?!h+\]|m+\]|s+\])[^\]]*\]', re.IGNORECASE)
ELAPSED = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
INTEGER = re.compile(r"-?[0-9]+", re.ASCII)
ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
EPOCH_1900 = datetime(1899, 12, 30)
EPOCH_1904 = datetime(1904, 1, 1)
# 29 February 1900, which Excel believes in.
PHANTOM_DAY = 60
# 31 December 9999.
LAST_DAY = 2_958_465
# Digits that a number of Excel's has.
PRECISION = 15


def kind_of(number: int, code: str | None) -> Kind:
    """What numbers of this format mean."""
    if code is None:
        return BUILT_IN.get(number, "number")
    shown = LITERAL.sub("", code.split(";")[0]).lower()
    if ELAPSED.search(shown):
        return "duration"
    shown = shown.replace("general", "")
    clock = "h" in shown or "s" in shown
    calendar = "y" in shown or "d" in shown or ("m" in shown and not clock)
    if clock and calendar:
        return "datetime"
    if clock:
        return "time"
    return "date" if calendar else "number"


def number_text(text: str, kind: Kind, *, epoch_1904: bool = False) -> str:
    """text: as it stands in the file. Digits stay as they are, however many: `491512345678`, not `491512345678.0`."""
    if kind == "number" and INTEGER.fullmatch(text):
        return text
    try:
        value = float(text)
    except ValueError:
        return text
    if kind != "number" and 0 <= value < LAST_DAY + 1:
        return moment_text(value, kind, epoch_1904=epoch_1904)
    if value.is_integer() and abs(value) < 10**PRECISION:
        return str(int(value))
    return format(value, f".{PRECISION}g")


def moment_text(days: float, kind: Kind, *, epoch_1904: bool) -> str:
    """ISO 8601, as far as the format shows it; a duration as hours, minutes and seconds."""
    seconds = round(days * 86_400)
    if kind == "duration":
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    if epoch_1904:
        moment = EPOCH_1904 + timedelta(seconds=min(seconds, (LAST_DAY - 1462) * 86_400))
    else:
        lost = timedelta(days=1) if days < PHANTOM_DAY else timedelta()
        moment = EPOCH_1900 + lost + timedelta(seconds=min(seconds, LAST_DAY * 86_400))
    if kind == "date":
        return moment.date().isoformat()
    clock = moment.strftime("%H:%M:%S")
    return clock if kind == "time" else f"{moment.date().isoformat()}T{clock}"


def unescaped(text: str) -> str:
    """Characters that XML cannot hold are written `_x000D_`, in units of UTF-16."""
    if "_x" not in text:
        return text
    units = ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
