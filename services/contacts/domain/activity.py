"""Entries of a contact's timeline: what integrators may add, and what a message goes through."""

import re
from datetime import datetime, timedelta

from services.contacts.domain import limits
from services.contacts.domain.problems import Problem, Refused, invalid

TYPE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+", re.ASCII)
# Told by Carillon itself, so that nobody else can make such an entry.
OWN = ("message.", "contact.")
# How far another's clock may be ahead of ours.
CLOCKS_APART = timedelta(minutes=5)

# What an event tells of a message → the time that it sets. In the order in which they come about.
STAGES = {
    "message.sent": "sent_at",
    "message.delivered": "delivered_at",
    "message.opened": "opened_at",
    "message.clicked": "clicked_at",
    "message.failed": "failed_at",
}


def check(type_: str, text: str, *, at: datetime, now: datetime) -> None:
    """Raises Refused with every problem of an integrator's entry."""
    problems: list[Problem] = []
    if len(type_) > limits.ACTIVITY_TYPE_CHARACTERS or not TYPE.fullmatch(type_):
        problems.append(
            invalid("type", f"type is like agent.note, of at most {limits.ACTIVITY_TYPE_CHARACTERS} characters.")
        )
    elif type_.startswith(OWN):
        problems.append(invalid("type", "Types that begin with message. or contact. are Carillon's own."))
    if len(text) > limits.ACTIVITY_TEXT_CHARACTERS or "\0" in text:
        problems.append(invalid("text", f"text has at most {limits.ACTIVITY_TEXT_CHARACTERS} characters, and no NUL."))
    if at > now + CLOCKS_APART:
        problems.append(invalid("at", "at lies in the future."))
    if problems:
        raise Refused(*problems)
