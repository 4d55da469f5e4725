"""Every kind of provider: which channels it fits, what its settings may hold, what it does with a repeated message."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from services.campaigns.domain.audience import Channel
from services.campaigns.providers import http, smtp, twilio
from services.campaigns.providers.port import Provider
from services.campaigns.providers.sandbox import Sandbox
from services.campaigns.providers.settings import Schema

Make = Callable[[aiohttp.ClientSession, Mapping[str, Any], Mapping[str, str], float], Provider]


@dataclass(frozen=True, slots=True)
class Kind:
    """make: of the process's HTTP session, settings, secrets and the seconds that one message may take."""

    channels: frozenset[Channel]
    # What becomes of an attempt without an answer, in a sentence.
    idempotency: str
    make: Make
    settings: Schema = field(default_factory=dict)
    secrets: Schema = field(default_factory=dict)
    # The sender's address has to be an email address.
    from_email: bool = False


KINDS: Mapping[str, Kind] = {
    "http": Kind(
        frozenset(Channel),
        "As its settings say: with honours_keys it is repeated with the same key, for as long as keys are kept.",
        lambda session, settings, secrets, timeout: http.HttpProvider(session, settings, secrets, timeout=timeout),
        http.SETTINGS,
        http.SECRETS,
    ),
    "twilio": Kind(
        frozenset({Channel.SMS, Channel.WHATSAPP}),
        "No keys: it is uncertain, and never repeated.",
        lambda session, settings, secrets, timeout: twilio.TwilioProvider(session, settings, secrets, timeout=timeout),
        twilio.SETTINGS,
        twilio.SECRETS,
    ),
    "smtp": Kind(
        frozenset({Channel.EMAIL}),
        "No keys: after the mail was handed over it is uncertain, and never repeated; before, nothing was sent.",
        lambda session, settings, secrets, timeout: smtp.SmtpProvider(settings, secrets, timeout=timeout),
        smtp.SETTINGS,
        smtp.SECRETS,
        from_email=True,
    ),
    "sandbox": Kind(
        frozenset(Channel),
        "Nothing is sent, so that nothing is sent twice.",
        lambda session, settings, secrets, timeout: Sandbox(),
    ),
}
SANDBOX = "sandbox"
