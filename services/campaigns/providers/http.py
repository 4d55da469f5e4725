"""The generic HTTP provider: POST {url} with an Idempotency-Key; see docs/providers.md.

    {"to": "+1…", "from": "…", "channel": "sms", "text": "…", "subject": "…", "callback_url": "https://…"}

2xx {"id": "…"}: accepted. 429: wait (Retry-After). 503: try again; so any 5xx where keys are honoured, else it is as
good as no answer. Any other answer is final.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import orjson

from services.campaigns.domain.sending import Accepted, Answer, Keys, Unanswered, Unavailable, classify
from services.campaigns.providers.port import OneByOne, Outbound

CONNECT_SECONDS = 3.0
MAX_ANSWER_BYTES = 64 * 1024
MAX_ID = 256


class HttpProvider(OneByOne):
    def __init__(
        self, session: aiohttp.ClientSession, settings: Mapping[str, Any], secrets: Mapping[str, str], *, timeout: float
    ) -> None:
        """settings: `url`; `honours_keys` (true) and `keys_kept_hours` (24) say what it does with keys."""
        self._session = session
        self._url = str(settings["url"])
        self._headers = {"Content-Type": "application/json"}
        if "authorization" in secrets:
            self._headers["Authorization"] = secrets["authorization"]
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=min(CONNECT_SECONDS, timeout))
        self.keys = Keys(
            honoured=bool(settings.get("honours_keys", True)),
            kept=timedelta(hours=float(settings.get("keys_kept_hours", 24))),
        )

    async def send(self, message: Outbound) -> Answer:
        body = {
            "to": message.to,
            "from": message.sender,
            "channel": message.channel,
            "text": message.text,
            "callback_url": message.callback_url,
        }
        if message.subject is not None:
            body["subject"] = message.subject
        try:
            async with self._session.post(
                self._url,
                data=orjson.dumps(body),
                headers=self._headers | {"Idempotency-Key": message.key},
                timeout=self._timeout,
                allow_redirects=False,
            ) as response:
                return await understand(response, self.keys)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            # No connection, so no request.
            return Unavailable()
        except (TimeoutError, aiohttp.ClientError, OSError):
            return Unanswered()


async def understand(response: aiohttp.ClientResponse, keys: Keys) -> Answer:
    """Raises aiohttp.ClientError where the body breaks off: the message may be taken, its name is not known."""
    if not 200 <= response.status < 300:
        return classify(
            response.status, retry_after=seconds(response.headers.get("Retry-After")), keys_honoured=keys.honoured
        )
    raw = await beginning(response.content)
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        found = None
    name = found.get("id") if isinstance(found, dict) else None
    usable = isinstance(name, str | int) and not isinstance(name, bool) and len(str(name)) <= MAX_ID
    return Accepted(str(name).replace("\0", "") if usable else "")


async def beginning(content: aiohttp.StreamReader) -> bytes:
    """Up to MAX_ANSWER_BYTES, however many pieces they come in."""
    raw = b""
    while len(raw) < MAX_ANSWER_BYTES and (piece := await content.read(MAX_ANSWER_BYTES - len(raw))):
        raw += piece
    return raw


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
