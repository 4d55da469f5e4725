"""What providers reached over HTTP share: times, faults, bodies with an end, Retry-After."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from chassis.destinations import RefusedAddress
from services.campaigns.domain.campaign import Hold
from services.campaigns.domain.sending import Barred, Unavailable

CONNECT_SECONDS = 3.0
MAX_ID = 256


def timeouts(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds, sock_connect=min(CONNECT_SECONDS, seconds))


async def body_of(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """Up to `limit` bytes, however many pieces they come in. Raises aiohttp.ClientError where it breaks off."""
    raw = b""
    while len(raw) < limit and (piece := await response.content.read(limit - len(raw))):
        raw += piece
    return raw


def not_made(error: Exception) -> Unavailable | Barred | None:
    """What it means that there was no connection, and so no request; None: there may have been one."""
    if not isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return None
    return Barred(Hold.ADDRESS_REFUSED) if isinstance(error.__cause__, RefusedAddress) else Unavailable()


def usable_id(name: object) -> str:
    """A provider's name of a message; empty where it is none that can be kept."""
    if isinstance(name, bool) or not isinstance(name, str | int) or len(str(name)) > MAX_ID:
        return ""
    return str(name).replace("\0", "")


def retry_after(response: aiohttp.ClientResponse) -> float | None:
    return seconds(response.headers.get("Retry-After"))


def seconds(header: str | None) -> float | None:
    """A Retry-After, which is a number of seconds or a date (RFC 9110)."""
    if header is None:
        return None
    try:
        return float(header)
    except ValueError:
        pass
    try:
        return (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None
