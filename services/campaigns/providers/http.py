"""The generic HTTP provider: POST {url} with an Idempotency-Key; see docs/providers.md.

    {"to": "+1…", "from": "…", "channel": "sms", "text": "…", "subject": "…", "callback_url": "https://…"}

2xx {"id": "…"}: accepted. 429: wait (Retry-After). 401, 403: the sender is at fault and has to be changed. 503: try
again; so any 5xx where keys are honoured, else it is as good as no answer. Any other answer is final.

With `batch_url`, up to `max_batch` messages a call, each with its `key`, and a result for each:

    {"messages": [{"key": "rcp_…", "to": …}, …]}  →  {"results": [{"key": "rcp_…", "status": "accepted", "id": "…"}, …]}
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import aiohttp
import orjson

from services.campaigns.domain.sending import (
    Accepted,
    Answer,
    Keys,
    Refused,
    Throttled,
    Unanswered,
    Unavailable,
    classify,
    retry_seconds,
)
from services.campaigns.providers.port import OneByOne, Outbound
from services.campaigns.providers.settings import Flag, Line, Number, Schema, Setting, Url, filled
from services.campaigns.providers.web import body_of, not_made, retry_after, timeouts, usable_id

BASE_BYTES = 64 * 1024
BYTES_A_RESULT = 1024
# A batch that was refused as a whole later than this is not made again at once: its recipients were checked too long
# ago.
AGAIN_SECONDS = 0.4

SETTINGS: Schema = {
    "url": Setting(Url(), "Where one message is posted", required=True),
    "honours_keys": Setting(Flag(), "Whether a repeated Idempotency-Key makes no second message", True),
    "keys_kept_hours": Setting(Number(0, 24 * 365), "For how long it knows a key again", 24),
    "batch_url": Setting(Url(), "Where several messages are posted in one call; absent: one call a message"),
    "max_batch": Setting(Number(1, 500, whole=True), "The most messages of one call to batch_url", 50),
}
SECRETS: Schema = {
    "authorization": Setting(Line(4096), "The Authorization header of every call"),
    "webhook_secret": Setting(Line(256), "Receipts and messages have to be signed with it; see docs/receipts.md"),
}


class HttpProvider(OneByOne):
    def __init__(
        self, session: aiohttp.ClientSession, settings: Mapping[str, Any], secrets: Mapping[str, str], *, timeout: float
    ) -> None:
        """settings, secrets: of SETTINGS and SECRETS. timeout: seconds, of one call."""
        known = filled(SETTINGS, settings)
        self._session = session
        self._url, self._batch_url = known["url"], known["batch_url"]
        self._headers = {"Content-Type": "application/json"}
        if "authorization" in secrets:
            self._headers["Authorization"] = secrets["authorization"]
        self._timeout = timeouts(timeout)
        self.max_batch = known["max_batch"] if self._batch_url else 1
        self.keys = Keys(honoured=known["honours_keys"], kept=timedelta(hours=float(known["keys_kept_hours"])))

    async def send(self, message: Outbound) -> Answer:
        headers = self._headers | {"Idempotency-Key": message.key}
        raw = await self._post(self._url, shown(message), headers, limit=BASE_BYTES)
        if not isinstance(raw, bytes):
            return raw
        found = parsed(raw)
        return Accepted(usable_id(found.get("id") if isinstance(found, dict) else None))

    async def send_many(self, messages: Sequence[Outbound]) -> list[Answer]:
        if not self._batch_url or len(messages) == 1:
            return list(await asyncio.gather(*(self.send(message) for message in messages)))
        begun = time.monotonic()
        body = {"messages": [{"key": message.key} | shown(message) for message in messages]}
        limit = BASE_BYTES + BYTES_A_RESULT * len(messages)
        raw = await self._post(self._batch_url, body, self._headers, limit=limit)
        if isinstance(raw, bytes):
            found = results(raw)
            return [self._result(found.get(message.key)) for message in messages]
        if not isinstance(raw, Refused):
            return [raw for _ in messages]
        # It says nothing of any one of them, and refusing all for the fault of one would be wrong.
        if time.monotonic() - begun > AGAIN_SECONDS:
            return [Unavailable() for _ in messages]
        return list(await asyncio.gather(*(self.send(message) for message in messages)))

    def _result(self, found: Mapping[str, Any] | None) -> Answer:
        """None: the answer says nothing of the message, which may have been taken."""
        status = None if found is None else found.get("status")
        if found is None or status not in ("accepted", "refused", "throttled", "unavailable"):
            return Unanswered()
        if status == "accepted":
            return Accepted(usable_id(found.get("id")))
        if status == "throttled":
            wait = found.get("retry_after")
            return Throttled(retry_seconds(float(wait) if isinstance(wait, int | float) else None))
        return Refused() if status == "refused" else Unavailable()

    async def _post(
        self, url: str, body: Mapping[str, Any], headers: Mapping[str, str], *, limit: int
    ) -> bytes | Answer:
        """The body of a 2xx; of anything else what it means."""
        try:
            async with self._session.post(
                url, data=orjson.dumps(body), headers=headers, timeout=self._timeout, allow_redirects=False
            ) as response:
                if 200 <= response.status < 300:
                    return await body_of(response, limit)
                # Of any other answer the status says all there is to know.
                return classify(response.status, retry_after=retry_after(response), keys_honoured=self.keys.honoured)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return not_made(error) or Unanswered()


def shown(message: Outbound) -> dict[str, Any]:
    """As the protocol has it: what a message has not is not there."""
    body: dict[str, Any] = {
        "to": message.to,
        "from": message.sender,
        "channel": message.channel,
        "text": message.text,
        "callback_url": message.callback_url,
    }
    for name in ("subject", "html", "unsubscribe_url"):
        if (value := getattr(message, name)) is not None:
            body[name] = value
    if message.template is not None:
        body["template"] = {
            "name": message.template.name,
            "language": message.template.language,
            "parameters": message.template.parameters,
        }
    return body


def results(raw: bytes) -> dict[str, Mapping[str, Any]]:
    """By key; of two for one key the first. Empty where they cannot be read."""
    whole = parsed(raw)
    listed = whole.get("results") if isinstance(whole, dict) else None
    found: dict[str, Mapping[str, Any]] = {}
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and isinstance(one.get("key"), str):
            found.setdefault(one["key"], one)
    return found


def parsed(raw: bytes) -> object:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
