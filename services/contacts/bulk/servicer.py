"""carillon.contacts.v1.BulkService: from the wire to the service and back."""

from collections.abc import Callable, Iterable
from uuid import UUID

from carillon.contacts.v1 import bulk_pb2 as pb
from carillon.contacts.v1 import contacts_pb2
from chassis import ids
from chassis.call import Call
from chassis.grpc_server import rpc
from services.contacts import errors
from services.contacts.batch.convert import read_rows
from services.contacts.batch.service import BatchService
from services.contacts.bulk.convert import job_message
from services.contacts.bulk.service import BulkService
from services.contacts.domain import change as changes
from services.contacts.domain.change import Change
from services.contacts.domain.problems import Problem, invalid
from services.contacts.listing.filters import Filter
from services.contacts.lists.service import decode_contacts

EDGE = {"gateway"}
ReadFilter = Callable[[contacts_pb2.ListContactsRequest], Filter]


class BulkServicer:
    def __init__(self, bulk: BulkService, batches: BatchService, *, read_filter: ReadFilter) -> None:
        """read_filter: as ListContacts reads its request; raises InvalidArgument."""
        self._bulk = bulk
        self._batches = batches
        self._read_filter = read_filter

    @rpc(admits=EDGE)
    async def BulkChangeContacts(
        self, call: Call, request: pb.BulkChangeContactsRequest
    ) -> pb.BulkChangeContactsResponse:
        change = change_of(request)
        match request.WhichOneof("target"):
            case "ids":
                return await self._bulk.change_named(call, decode_contacts(request.ids.values), change=change)
            case "filter":
                wanted = self._read_filter(request.filter)
                return await self._bulk.change_found(
                    call, wanted, stored=request.filter.SerializeToString(), change=change
                )
        raise errors.invalid([invalid("", "Contacts are named by their ids or by a filter.")])

    @rpc(admits=EDGE)
    async def UpsertBatch(self, call: Call, request: pb.UpsertBatchRequest) -> pb.UpsertBatchResponse:
        rows = read_rows(request.body_json)
        return await self._batches.upsert(call, rows, default_region=request.default_region)

    @rpc(admits=EDGE)
    async def GetBulkJob(self, call: Call, request: pb.GetBulkJobRequest) -> pb.GetBulkJobResponse:
        return pb.GetBulkJobResponse(job=job_message(await self._bulk.job(call, request.id)))


def change_of(request: pb.BulkChangeContactsRequest) -> Change:
    """Raises InvalidArgument."""
    problems: list[Problem] = []
    add_lists = list(decode(request.add_lists, "add", problems))
    remove_lists = list(decode(request.remove_lists, "remove", problems))
    if problems:
        raise errors.invalid(problems)
    with errors.refusing():
        return changes.read(
            add_tags=request.add_tags,
            remove_tags=request.remove_tags,
            add_lists=add_lists,
            remove_lists=remove_lists,
        )


def decode(public_ids: Iterable[str], field: str, problems: list[Problem]) -> Iterable[UUID]:
    for at, public_id in enumerate(public_ids):
        found = ids.decode("lst", public_id)
        if found is None:
            problems.append(invalid(f"{field}/{at}", "There is no such list."))
        else:
            yield found
