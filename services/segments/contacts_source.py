"""The contacts service, which has the contacts that this service projects."""

from collections.abc import Sequence
from contextlib import aclosing

from carillon.contacts.v1 import contacts_pb2 as pb
from carillon.contacts.v1.contacts_pb2_grpc import ContactsServiceStub
from chassis.call import Outgoing
from chassis.grpc_client import Client
from chassis.ids import AccountId

SECONDS = 8.0


class ContactsSource:
    def __init__(self, client: Client[ContactsServiceStub]) -> None:
        self._client = client

    async def versions(self, account: AccountId, *, after: str, limit: int) -> list[pb.Contact]:
        """Of the contacts behind one, in order of id: id, version and when it was written. Raises chassis.errors."""
        found, _ = await self._read(account, pb.StreamContactsRequest(after_id=after, limit=limit, versions_only=True))
        return found

    async def named(
        self, account: AccountId, ids: Sequence[str], *, versions_only: bool = False
    ) -> tuple[list[pb.Contact], list[pb.Tombstone]]:
        """Those of up to 500 contacts that there are, and what is left of the others. Raises chassis.errors."""
        return await self._read(account, pb.StreamContactsRequest(ids=ids, versions_only=versions_only))

    async def _read(
        self, account: AccountId, request: pb.StreamContactsRequest
    ) -> tuple[list[pb.Contact], list[pb.Tombstone]]:
        contacts: list[pb.Contact] = []
        tombstones: list[pb.Tombstone] = []
        stream = self._client.stream_out(
            self._client.stub.StreamContacts, request, call=Outgoing(account), timeout=SECONDS
        )
        async with aclosing(stream):  # type: ignore[type-var]  # a generator, typed as the iterator that callers need
            async for response in stream:
                contacts += response.contacts
                tombstones += response.tombstones
        return contacts, tombstones
