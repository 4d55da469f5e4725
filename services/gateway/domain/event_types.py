"""The types of event that the world is told of, and what a subscriber may ask for."""

from collections.abc import Iterable

# In the order of docs/events.md. A guard holds the list, events.proto and what the services tell together.
EVENT_TYPES = (
    "contact.created",
    "contact.updated",
    "contact.deleted",
    "list.created",
    "list.updated",
    "list.deleted",
    "suppression.created",
    "suppression.updated",
    "suppression.deleted",
    "import.completed",
    "segment.created",
    "segment.updated",
    "segment.deleted",
    "segment.members_changed",
    "campaign.created",
    "campaign.updated",
    "campaign.deleted",
    "campaign.started",
    "campaign.paused",
    "campaign.resumed",
    "campaign.completed",
    "campaign.cancelled",
    "message.sent",
    "message.delivered",
    "message.failed",
    "account.created",
)
# What `POST /v1/webhooks/{id}/test` sends; it is told to nobody else and is not in the feed.
TEST = "webhook.test"
# `contact.*` stands for every type of the entity, those of later versions too.
WILDCARDS = tuple(dict.fromkeys(f"{name.partition('.')[0]}.*" for name in EVENT_TYPES))
KNOWN = frozenset(EVENT_TYPES + WILDCARDS)


def unknown(asked: Iterable[str]) -> list[str]:
    """Those that are neither a type nor a wildcard."""
    return [one for one in asked if one not in KNOWN]


def matches(asked: Iterable[str], event_type: str) -> bool:
    """Nothing asked for is everything."""
    wanted = frozenset(asked)
    return not wanted or event_type in wanted or f"{event_type.partition('.')[0]}.*" in wanted
