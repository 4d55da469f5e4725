"""Every kind of provider: which channels it fits, what its settings may hold, what it does with a repeated message."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from chassis.destinations import Networks
from services.campaigns.domain.audience import Channel
from services.campaigns.providers import http, smtp, twilio
from services.campaigns.providers.port import Provider
from services.campaigns.providers.sandbox import Sandbox
from services.campaigns.providers.settings import Schema


@dataclass(frozen=True, slots=True)
class Reach:
    """What the providers of a process reach their peers by."""

    # Its connections are guarded already.
    session: aiohttp.ClientSession
    # Where other connections may lead besides the public Internet.
    allowed: Networks
    # Seconds that one message may take.
    timeout: float


# Of settings and secrets.
Make = Callable[[Reach, Mapping[str, Any], Mapping[str, str]], Provider]


@dataclass(frozen=True, slots=True)
class Kind:
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
        lambda reach, settings, secrets: http.HttpProvider(reach.session, settings, secrets, timeout=reach.timeout),
        http.SETTINGS,
        http.SECRETS,
    ),
    "twilio": Kind(
        frozenset({Channel.SMS, Channel.WHATSAPP}),
        "No keys: it is uncertain, and never repeated.",
        lambda reach, settings, secrets: twilio.TwilioProvider(reach.session, settings, secrets, timeout=reach.timeout),
        twilio.SETTINGS,
        twilio.SECRETS,
    ),
    "smtp": Kind(
        frozenset({Channel.EMAIL}),
        "No keys: after the mail was handed over it is uncertain, and never repeated; before, nothing was sent.",
        lambda reach, settings, secrets: smtp.SmtpProvider(
            settings, secrets, allowed=reach.allowed, timeout=reach.timeout
        ),
        smtp.SETTINGS,
        smtp.SECRETS,
        from_email=True,
    ),
    "sandbox": Kind(
        frozenset(Channel),
        "Nothing is sent, so that nothing is sent twice.",
        lambda reach, settings, secrets: Sandbox(),
    ),
}
SANDBOX = "sandbox"
