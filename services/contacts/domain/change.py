"""The same change to many contacts: tags and lists that come and go."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from services.contacts.domain import limits, tags
from services.contacts.domain.contact import Contact
from services.contacts.domain.problems import Refused, invalid

Item = TypeVar("Item", str, UUID)


@dataclass(frozen=True, slots=True)
class Change:
    """Nothing is both added and removed."""

    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    add_lists: tuple[UUID, ...] = ()
    remove_lists: tuple[UUID, ...] = ()

    @property
    def lists(self) -> set[UUID]:
        return {*self.add_lists, *self.remove_lists}


def read(
    *,
    add_tags: Iterable[str] = (),
    remove_tags: Iterable[str] = (),
    add_lists: Iterable[UUID] = (),
    remove_lists: Iterable[UUID] = (),
) -> Change:
    """Checked, without repeats. Raises Refused, also where there is nothing to do."""
    change = Change(
        tuple(tags.clean(add_tags)),
        tuple(tags.clean(remove_tags)),
        tuple(dict.fromkeys(add_lists)),
        tuple(dict.fromkeys(remove_lists)),
    )
    if change == Change():
        raise Refused(invalid("add", "There is nothing to add and nothing to remove."))
    if {*change.add_tags} & {*change.remove_tags} or {*change.add_lists} & {*change.remove_lists}:
        raise Refused(invalid("remove", "The same cannot be added and removed at once."))
    if max(len(change.add_lists), len(change.remove_lists)) > limits.LISTS:
        raise Refused(invalid("list_ids", f"At most {limits.LISTS} lists at once."))
    return change


def apply(contact: Contact, change: Change) -> Contact:
    """The contact after the change; equal to it when nothing changes. What comes goes to the end.

    Raises Refused when the contact would have too many tags or lists.
    """
    after = copy.copy(contact)
    after.tags = exchange(contact.tags, out=change.remove_tags, into=change.add_tags)
    after.list_ids = exchange(contact.list_ids, out=change.remove_lists, into=change.add_lists)
    if len(after.tags) > max(limits.TAGS, len(contact.tags)):
        raise Refused(invalid("tags", f"A contact has at most {limits.TAGS} tags."))
    if len(after.list_ids) > max(limits.LISTS, len(contact.list_ids)):
        raise Refused(invalid("lists", f"A contact is on at most {limits.LISTS} lists."))
    return after


def exchange(present: list[Item], *, out: tuple[Item, ...], into: tuple[Item, ...]) -> list[Item]:
    left = [item for item in present if item not in out]
    return left + [item for item in into if item not in left]
