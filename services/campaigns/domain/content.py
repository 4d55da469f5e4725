"""What a template is made of, before anything is filled in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WhatsApp:
    """A message that WhatsApp has approved; the parameters are Liquid."""

    name: str
    language: str
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """Liquid, all of it but WhatsApp's name and language."""

    body: str
    # Email only.
    subject: str | None = None
    html: str | None = None
    # WhatsApp only.
    whatsapp: WhatsApp | None = None
