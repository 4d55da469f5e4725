"""In which time zone somebody is: as the contact says, else where the phone is from."""

from functools import cache
from zoneinfo import available_timezones

from phonenumbers.tzdata import TIMEZONE_DATA, TIMEZONE_LONGEST_PREFIX

# Where most people live, of plans that span zones which differ and do not say more of a number.
MOST_LIVE_IN = frozenset(
    {
        "Africa/Kinshasa",
        "America/Chicago",
        "America/Godthab",
        "America/Guayaquil",
        "America/Mexico_City",
        "America/Sao_Paulo",
        "Asia/Jakarta",
        "Asia/Ulaanbaatar",
        "Australia/Sydney",
        "Europe/Lisbon",
        "Europe/Madrid",
        "Europe/Moscow",
        "Indian/Reunion",
        "Pacific/Auckland",
        "Pacific/Tahiti",
        "Pacific/Tarawa",
    }
)


def zone_of(timezone: str, phone: str) -> str:
    """An IANA name; empty where nothing is known.

    timezone: what the contact says, counted where it is such a name. phone: E.164, or empty.
    """
    name = timezone.strip()
    if name and is_zone(name):
        return name
    return of_phone(phone) if phone.startswith("+") else ""


def of_phone(phone: str) -> str:
    digits = phone[1:]
    for length in range(min(TIMEZONE_LONGEST_PREFIX, len(digits)), 0, -1):
        if digits[:length] in TIMEZONE_DATA:
            return of_prefix(digits[:length])
    return ""


@cache
def of_prefix(prefix: str) -> str:
    zones = [zone for zone in TIMEZONE_DATA[prefix] if is_zone(zone)]
    likely = [zone for zone in zones if zone in MOST_LIVE_IN] or zones
    # The first of them by name: where several are left, their clocks agree in all but a few places.
    return likely[0] if likely else ""


@cache
def names() -> frozenset[str]:
    return frozenset(available_timezones())


def is_zone(name: str) -> bool:
    return name in names()
