"""What an audience would be now, without writing anything."""

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from uuid import UUID

from carillon.contacts.v1 import contacts_pb2 as contacts_pb
from chassis.ids import AccountId
from services.campaigns.domain.audience import Audience, Channel
from services.campaigns.domain.funnel import Funnel, funnel
from services.campaigns.domain.id_set import IdSet
from services.campaigns.domain.recipient import Reason
from services.campaigns.peers import Audiences, Contacts, Page
from services.campaigns.sifting import Sieve, address_of, contact_id_of

# Contacts that are looked at; of a larger audience the rest is reckoned from them.
MOST = 20_000
PAGE = 500


class Estimating:
    """One estimate. whole: everybody was looked at so far."""

    def __init__(self, contacts: Contacts, audiences: Audiences, account: AccountId, *, channel: Channel) -> None:
        self._contacts = contacts
        self._audiences = audiences
        self._account = account
        self._channel = channel
        self.whole = True

    async def named(self, audience: Audience) -> tuple[Funnel, bool]:
        """The funnel, and whether it is exact. Raises NotFound where the audience is gone, Unavailable."""
        pages = self._first(self._audiences.members(self._account, audience))
        members = [bare(member) async for page in pages for member in page]
        whole = self.whole
        excluded = await self._excluded(audience, upto=max(map(contact_id_of, members), default=None))
        sieve = Sieve(self._contacts, self._account, channel=self._channel, names=(), excluded=excluded)
        left_out: Counter[str] = Counter()
        addresses: set[str] = set()
        for at in range(0, len(members), PAGE):
            sifted = await sieve.sift(members[at : at + PAGE])
            left_out.update(sifted.left_out.values())
            fresh = {candidate.address for candidate in sifted.kept} - addresses
            left_out[Reason.DUPLICATE] += len(sifted.doubles) + len(sifted.kept) - len(fresh)
            addresses |= fresh
        found = funnel(left_out, final=len(addresses))
        if whole:
            return found, True
        size = await self._audiences.size(self._account, audience)
        return found.scaled(max(size or 0, len(members))), False

    async def excluded_addresses(self, audience: Audience) -> AsyncIterator[Sequence[str]]:
        """What members of excluded segments are reached by, page after page."""
        for segment_id in audience.exclude_segment_ids:
            async for page in self._first(self._audiences.segments.members(self._account, segment_id)):
                yield [address for member in page if (address := address_of(member, self._channel))]

    async def _first(self, pages: AsyncGenerator[Page]) -> AsyncIterator[Page]:
        """As many as are looked at."""
        seen = 0
        async with aclosing(pages):
            async for page in pages:
                if seen + len(page) > MOST:
                    self.whole = False
                    yield page[: MOST - seen]
                    return
                seen += len(page)
                yield page

    async def _excluded(self, audience: Audience, *, upto: UUID | None) -> IdSet:
        """The members of the excluded segments up to an id: beyond it nobody is looked at."""
        found = IdSet()
        if upto is None:
            return found
        for segment_id in audience.exclude_segment_ids:
            async with aclosing(self._audiences.segments.members(self._account, segment_id)) as pages:
                async for page in pages:
                    found.add(contact_id_of(member) for member in page)
                    if contact_id_of(page[-1]) > upto:
                        break
        return found


def bare(contact: contacts_pb.Contact) -> contacts_pb.Contact:
    """What the checks read of a contact, so that many fit into memory."""
    return contacts_pb.Contact(id=contact.id, phone=contact.phone, email=contact.email)
