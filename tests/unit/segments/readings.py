"""How the oracle reads texts: what is equal, what a number, a time and a duration look like, said a second time."""

import math
from datetime import UTC, datetime, timedelta
from unicodedata import normalize

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
DIGITS = frozenset("0123456789")


def same_case(text: str) -> str:
    """After Unicode 15, D145."""
    return normalize("NFC", normalize("NFD", text).casefold())


def as_number(value: float) -> float | None:
    """As a double; None where it is too large for one."""
    try:
        double = float(value)
    except OverflowError:
        return None
    return double if math.isfinite(double) else None


def is_written_like_a_number(text: str) -> bool:
    """-12.5e+3: a sign, digits, a point with digits, an exponent."""
    mantissa, exponent_sign, exponent = text.replace("E", "e").partition("e")
    whole, point, fraction = without_sign(mantissa).partition(".")
    return (
        are_digits(whole, at_most=40)
        and (not point or are_digits(fraction, at_most=40))
        and (not exponent_sign or are_digits(without_sign(exponent), at_most=3))
    )


def without_sign(text: str) -> str:
    return text[1:] if text[:1] in ("+", "-") else text


def are_digits(text: str, *, at_most: int) -> bool:
    return 0 < len(text) <= at_most and set(text) <= DIGITS


def duration(text: str) -> int:
    return timedelta(**{UNITS[text[-1]]: int(text[:-1])}) // timedelta(microseconds=1)


def micros_of(text: str) -> int | None:
    """RFC 3339, or a date, or both parts without an offset, which is UTC. A second 60 is the one after it."""
    day, mark, clock, rest = text[:10], text[10:11], text[11:19] or "00:00:00", text[19:]
    if not is_shaped(day, "0000-00-00") or not is_shaped(clock, "00:00:00") or mark not in ("", "T", "t", " "):
        return None
    if mark and len(text) < 19:
        return None
    fraction = ""
    if rest.startswith("."):
        behind = rest[1:].lstrip("0123456789")
        fraction, rest = rest[1 : len(rest) - len(behind)], behind
        if not are_digits(fraction, at_most=9):
            return None
    if rest not in ("", "Z", "z") and not (is_shaped(rest[1:], "00:00") and rest[0] in "+-"):
        return None
    is_leap = clock.endswith(":60")
    try:
        at = datetime.fromisoformat(f"{day}T{clock[:-2]}59+00:00" if is_leap else f"{day}T{clock}+00:00")
    except ValueError:
        return None
    micros = (at - EPOCH) // timedelta(microseconds=1) + int(fraction.ljust(6, "0")[:6])
    return None if (ahead := offset(rest)) is None else micros + is_leap * 1_000_000 - ahead


def is_shaped(text: str, shape: str) -> bool:
    """Digits where the shape has zeros, and its other characters."""
    return len(text) == len(shape) and all(
        char in DIGITS if wanted == "0" else char == wanted for char, wanted in zip(text, shape, strict=True)
    )


def offset(text: str) -> int | None:
    """Microseconds that a clock at `+02:00` is ahead of UTC."""
    if len(text) < 6:
        return 0
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 23 or minutes > 59:
        return None
    ahead = duration(f"{hours}h") + duration(f"{minutes}m")
    return -ahead if text[0] == "-" else ahead
