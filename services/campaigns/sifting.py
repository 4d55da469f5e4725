"""Who of a page of an audience may be a recipient, and why the others may not."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import orjson

from carillon.contacts.v1 import contacts_pb2 as contacts
from chassis import ids
from chassis.ids import AccountId
from services.campaigns import convert
from services.campaigns.domain.audience import Channel, contact_variables
from services.campaigns.domain.id_set import IdSet
from services.campaigns.domain.recipient import Reason
from services.campaigns.peers import MAX_TARGETS, Contacts
from services.campaigns.repository.freezing import Candidate
from services.campaigns.zones import zone_of

# Fields of a contact that a template may name, besides the keys of its metadata.
TEXT_FIELDS = (
    "phone",
    "email",
    "first_name",
    "last_name",
    "name",
    "country",
    "stage",
    "gender",
    "language",
    "timezone",
    "external_id",
)


@dataclass(frozen=True, slots=True)
class Sifted:
    """kept: each address once. doubles: who has one of them too. left_out: the reason by contact, of the others."""

    kept: list[Candidate]
    doubles: list[Candidate]
    left_out: dict[UUID, str]
    # The sieve's, before contacts was asked.
    erasures: int


class Sieve:
    """The checks of the funnel in their order: excluded, no address, refused by contacts, duplicate."""

    def __init__(
        self, contacts: Contacts, account: AccountId, *, channel: Channel, names: Sequence[str], excluded: IdSet
    ) -> None:
        """names: the variables that the template uses. excluded: contacts that are left out."""
        self._contacts = contacts
        self._account = account
        self._channel = channel
        self._names = names
        self._excluded = excluded
        # How often the ledger heard of deleted contacts, as far as is known.
        self.erasures = 0

    async def sift(self, members: Sequence[contacts.Contact]) -> Sifted:
        """Asks contacts. Duplicates are those within the page. Raises chassis.errors."""
        candidates, left_out = self._addressed(members)
        return await self._allowed(candidates, left_out)

    async def again(self, page: Sifted) -> Sifted:
        """Asks once more: who was kept may be gone, and somebody else with the address be there."""
        return await self._allowed([*page.kept, *page.doubles], page.left_out)

    async def _allowed(self, candidates: Sequence[Candidate], left_out: dict[UUID, str]) -> Sifted:
        erasures = self.erasures
        refusals: list[str] = []
        for at in range(0, len(candidates), MAX_TARGETS):
            asked = [(candidate.contact_id, candidate.address) for candidate in candidates[at : at + MAX_TARGETS]]
            refusals += await self._contacts.refusals(self._account, self._channel, asked)
        kept: dict[str, Candidate] = {}
        doubles = []
        for candidate, why in zip(candidates, refusals, strict=True):
            if why:
                left_out[candidate.contact_id] = why
            elif kept.setdefault(candidate.address, candidate) is not candidate:
                doubles.append(candidate)
        return Sifted(list(kept.values()), doubles, left_out, erasures)

    def _addressed(self, members: Sequence[contacts.Contact]) -> tuple[list[Candidate], dict[UUID, str]]:
        candidates: list[Candidate] = []
        left_out: dict[UUID, str] = {}
        for member in members:
            contact_id, address = contact_id_of(member), address_of(member, self._channel)
            if contact_id in self._excluded:
                left_out[contact_id] = Reason.EXCLUDED
            elif not address:
                left_out[contact_id] = Reason.NO_ADDRESS
            else:
                zone = zone_of(member.timezone, member.phone)
                candidates.append(Candidate(ids.new(), contact_id, address, variables(member, self._names), zone))
        return candidates, left_out


def contact_id_of(contact: contacts.Contact) -> UUID:
    found = ids.decode(convert.CONTACT, contact.id)
    if found is None:
        raise ValueError("an audience has a contact without an id")
    return found


def address_of(contact: contacts.Contact, channel: Channel) -> str:
    """What it is reached by on the channel, as the ledger spells it; empty: nothing."""
    return contact.email.lower() if channel is Channel.EMAIL else contact.phone


def variables(contact: contacts.Contact, names: Sequence[str]) -> str:
    """What the template asks for of a contact, as a JSON object."""
    if not names:
        return "{}"
    # Absent and empty are the same to a template.
    fields: dict[str, object] = {
        name: getattr(contact, name) for name in TEXT_FIELDS if name in names and getattr(contact, name)
    }
    metadata = orjson.loads(contact.metadata_json or "{}")
    if "tags" in names:
        fields["tags"] = list(contact.tags)
    if "metadata" in names:
        fields["metadata"] = metadata
    return orjson.dumps(contact_variables(fields, metadata, names)).decode()
