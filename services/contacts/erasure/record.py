"""What is known of a contact at the moment in which it is erased, and what stays."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from services.contacts.domain.contact import EMAIL_CHANNELS, PHONE_CHANNELS


@dataclass(frozen=True, slots=True)
class Doomed:
    """A contact about to go: its addresses, the email also as folded, with their keyed hashes."""

    id: UUID
    phone: str | None
    email: str | None
    email_normal: str | None
    phone_hash: bytes | None
    email_hash: bytes | None
    # Channels that it opted out of; every one where it was marked do_not_disturb.
    opted_out: frozenset[str]


@dataclass(frozen=True, slots=True)
class Erased:
    """A contact that is gone, with the version of its tombstone."""

    doomed: Doomed
    version: int


# Channels of a suppression: empty is every one.
Channels = frozenset[str]
EVERY: Channels = frozenset()


def kept_optouts(gone: Iterable[Doomed]) -> dict[bytes, Channels]:
    """By hash of an address: the channels on which it may not be messaged any more."""
    kept: dict[bytes, Channels] = {}
    for contact in gone:
        for digest, channels in ((contact.phone_hash, PHONE_CHANNELS), (contact.email_hash, EMAIL_CHANNELS)):
            refused = contact.opted_out & frozenset(channels)
            if digest is not None and refused:
                kept[digest] = joined(kept.get(digest), refused)
    return kept


def joined(one: Channels | None, other: Channels) -> Channels:
    """What both refuse together; None refuses nothing."""
    if one is None:
        return other
    return EVERY if not one or not other else one | other
