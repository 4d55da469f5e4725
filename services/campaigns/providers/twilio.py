"""Twilio's REST API, or one that is compatible with it: SMS and WhatsApp, one message a call.

It takes no idempotency key, so that an attempt without an answer is `uncertain` and never repeated.
Twilio: https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import aiohttp
import orjson

from services.campaigns.domain.audience import Channel
from services.campaigns.domain.sending import Accepted, Answer, Keys, Unanswered, classify
from services.campaigns.providers.port import OneByOne, Outbound
from services.campaigns.providers.settings import Line, Schema, Setting, Url, Word, filled
from services.campaigns.providers.web import body_of, not_made, retry_after, timeouts, usable_id

API_VERSION = "2010-04-01"
BODY_BYTES = 64 * 1024
SERVICE_PREFIX = "MG"

SETTINGS: Schema = {
    "account_sid": Setting(Word(), "The account, `AC…`", required=True),
    "base_url": Setting(Url(), "Of another service with the same API", "https://api.twilio.com"),
    "api_key_sid": Setting(Word(), "An API key, `SK…`, to call with; the secret api_key_secret is its other half"),
}
SECRETS: Schema = {
    "auth_token": Setting(Line(256), "Calls are made with it, and callbacks signed", required=True),
    "api_key_secret": Setting(Line(256), "Of api_key_sid"),
}


class TwilioProvider(OneByOne):
    keys = Keys(honoured=False, kept=timedelta(0))

    def __init__(
        self, session: aiohttp.ClientSession, settings: Mapping[str, Any], secrets: Mapping[str, str], *, timeout: float
    ) -> None:
        """settings, secrets: of SETTINGS and SECRETS. timeout: seconds, of one call."""
        known = filled(SETTINGS, settings)
        account, base = known["account_sid"], known["base_url"].rstrip("/")
        self._session = session
        self._url = f"{base}/{API_VERSION}/Accounts/{account}/Messages.json"
        user, password = account, secrets["auth_token"]
        if known["api_key_sid"] and "api_key_secret" in secrets:
            user, password = known["api_key_sid"], secrets["api_key_secret"]
        self._headers = {"Authorization": aiohttp.encode_basic_auth(user, password)}
        self._timeout = timeouts(timeout)

    async def send(self, message: Outbound) -> Answer:
        try:
            async with self._session.post(
                self._url, data=form(message), headers=self._headers, timeout=self._timeout, allow_redirects=False
            ) as response:
                if 200 <= response.status < 300:
                    return Accepted(sid(await body_of(response, BODY_BYTES)))
                return classify(response.status, retry_after=retry_after(response), keys_honoured=False)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return not_made(error) or Unanswered()


def form(message: Outbound) -> dict[str, str]:
    prefix = "whatsapp:" if message.channel == Channel.WHATSAPP else ""
    fields = {"To": prefix + message.to, "StatusCallback": message.callback_url}
    if message.sender.startswith(SERVICE_PREFIX):
        fields["MessagingServiceSid"] = message.sender
    else:
        fields["From"] = prefix + message.sender
    if message.template is None:
        return fields | {"Body": message.text}
    fields["ContentSid"] = message.template.name
    if message.template.parameters:
        # Without any, an empty object is refused.
        numbered = {str(at): value for at, value in enumerate(message.template.parameters, 1)}
        fields["ContentVariables"] = orjson.dumps(numbered).decode()
    return fields


def sid(raw: bytes) -> str:
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return ""
    return usable_id(found.get("sid") if isinstance(found, dict) else None)
