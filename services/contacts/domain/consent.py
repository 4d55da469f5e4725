"""What a contact says of the channels it can be reached on, and what of it is worth keeping as evidence."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from services.contacts.domain import limits
from services.contacts.domain.contact import EMAIL_CHANNELS, PHONE_CHANNELS
from services.contacts.domain.problems import Problem, Refused, invalid

Preference = Literal["opted_in", "opted_out", "unknown"]

CHANNELS = (*PHONE_CHANNELS, *EMAIL_CHANNELS)
# Where the contact said so, when nobody says where.
DEFAULT_SOURCE = "api"


@dataclass(frozen=True, slots=True)
class Change:
    """Of one channel; before and after differ."""

    channel: str
    before: Preference
    after: Preference


@dataclass(frozen=True, slots=True)
class Evidence:
    """Of a change: where it was said, in what words, and who told us."""

    source: str
    text: str
    actor: str


def read_evidence(*, source: str, text: str, actor: str) -> Evidence:
    """Raises Refused with every problem."""
    cleaned = source.strip() or DEFAULT_SOURCE
    problems: list[Problem] = []
    if len(cleaned) > limits.SOURCE_CHARACTERS or "\0" in cleaned:
        problems.append(invalid("source", f"source has at most {limits.SOURCE_CHARACTERS} characters, and no NUL."))
    if len(text) > limits.EVIDENCE_CHARACTERS or "\0" in text:
        problems.append(invalid("text", f"text has at most {limits.EVIDENCE_CHARACTERS} characters, and no NUL."))
    if problems:
        raise Refused(*problems)
    return Evidence(cleaned, text, actor)


def changes(stored: str, wanted: Mapping[str, Preference]) -> list[Change]:
    """stored: Contact.preferences. Raises Refused for a channel that is not known."""
    unknown = [channel for channel in wanted if channel not in CHANNELS]
    if unknown:
        raise Refused(*[invalid(f"preferences/{name[:64]}", "The channel is not known.") for name in unknown])
    present = json.loads(stored)
    found = [Change(name, present.get(name, "unknown"), after) for name, after in wanted.items()]
    return [change for change in found if change.before != change.after]


def after(stored: str, made: Sequence[Change]) -> str:
    """Contact.preferences behind the changes: an unknown channel is absent."""
    present = json.loads(stored) | {change.channel: change.after for change in made}
    return json.dumps({channel: said for channel, said in present.items() if said != "unknown"})
