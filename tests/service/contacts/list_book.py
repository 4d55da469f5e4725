"""Lists and bulk changes as one account's client sees them, over gRPC."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any

from carillon.contacts.v1 import bulk_pb2, bulk_pb2_grpc, contacts_pb2, lists_pb2, lists_pb2_grpc
from chassis.call import Outgoing
from chassis.grpc_client import Client
from chassis.ids import AccountId

TIMEOUT = 20.0


class ListBook:
    def __init__(self, client: "Client[lists_pb2_grpc.ListsServiceStub]", account: AccountId) -> None:
        self.client = client
        self.account = account

    async def call(self, method: str, request: Any, *, idempotency: tuple[str, bytes] | None = None) -> Any:
        stub = getattr(self.client.stub, method)
        outgoing = Outgoing(self.account, idempotency=idempotency)
        return await self.client.unary(stub, request, call=outgoing, timeout=TIMEOUT)

    async def create(self, name: str = "Friends", **fields: Any) -> lists_pb2.List:
        return (await self.call("CreateList", lists_pb2.CreateListRequest(name=name, **fields))).list

    async def get(self, list_id: str) -> lists_pb2.List:
        return (await self.call("GetList", lists_pb2.GetListRequest(id=list_id))).list

    async def update(self, list_id: str, **fields: Any) -> lists_pb2.List:
        return (await self.call("UpdateList", lists_pb2.UpdateListRequest(id=list_id, **fields))).list

    async def delete(self, list_id: str, **fields: Any) -> None:
        await self.call("DeleteList", lists_pb2.DeleteListRequest(id=list_id, **fields))

    async def add(self, list_ids: Sequence[str], contact_ids: Sequence[str]) -> lists_pb2.AddListMembersResponse:
        request = lists_pb2.AddListMembersRequest(list_ids=list_ids, contact_ids=contact_ids)
        return await self.call("AddListMembers", request)

    async def remove(self, list_ids: Sequence[str], contact_ids: Sequence[str]) -> lists_pb2.RemoveListMembersResponse:
        request = lists_pb2.RemoveListMembersRequest(list_ids=list_ids, contact_ids=contact_ids)
        return await self.call("RemoveListMembers", request)

    async def members(self, list_id: str, *, page_size: int = 100) -> list[contacts_pb2.Contact]:
        """Every page of them."""
        found: list[contacts_pb2.Contact] = []
        cursor = ""
        while True:
            request = lists_pb2.ListListMembersRequest(id=list_id, page_size=page_size, cursor=cursor)
            answer = await self.call("ListListMembers", request)
            found += answer.contacts
            cursor = answer.next_cursor
            if not cursor:
                return found


class BulkChanges:
    def __init__(self, client: "Client[bulk_pb2_grpc.BulkServiceStub]", account: AccountId) -> None:
        self.client = client
        self.account = account

    async def call(self, method: str, request: Any, *, idempotency: tuple[str, bytes] | None = None) -> Any:
        stub = getattr(self.client.stub, method)
        outgoing = Outgoing(self.account, idempotency=idempotency)
        return await self.client.unary(stub, request, call=outgoing, timeout=TIMEOUT)

    async def named(self, contact_ids: Iterable[str], **change: Any) -> bulk_pb2.BulkOutcome:
        request = bulk_pb2.BulkChangeContactsRequest(ids=bulk_pb2.ContactIds(values=contact_ids), **change)
        return (await self.call("BulkChangeContacts", request)).outcome

    async def found(self, change: dict[str, Any], **wanted: Any) -> bulk_pb2.BulkChangeContactsResponse:
        """wanted: the filter."""
        filter_ = contacts_pb2.ListContactsRequest(**wanted)
        return await self.call("BulkChangeContacts", bulk_pb2.BulkChangeContactsRequest(filter=filter_, **change))

    async def job(self, job_id: str) -> bulk_pb2.BulkJob:
        return (await self.call("GetBulkJob", bulk_pb2.GetBulkJobRequest(id=job_id))).job

    async def batch(
        self, *rows: contacts_pb2.ContactPatch, region: str = "", idempotency: tuple[str, bytes] | None = None
    ) -> list[Any]:
        """The results, their members as attributes."""
        body_json = json.dumps({"contacts": [row_of(row) for row in rows]}).encode()
        request = bulk_pb2.UpsertBatchRequest(body_json=body_json, default_region=region)
        answer = await self.call("UpsertBatch", request, idempotency=idempotency)
        results = json.loads(answer.results_json, object_hook=lambda members: SimpleNamespace(**members))
        counted = Counter(result.outcome for result in results)
        assert {name: getattr(answer, name) for name in ("created", "updated", "unchanged", "failed")} == {
            name: counted[name] for name in ("created", "updated", "unchanged", "failed")
        }
        return list(results)


def row_of(patch: contacts_pb2.ContactPatch) -> dict[str, Any]:
    """The row that says the same."""
    row = {field.name: value for field, value in patch.ListFields() if field.name not in ("clear", "tags")}
    row |= {name.removesuffix("_json"): json.loads(row.pop(name)) for name in list(row) if name.endswith("_json")}
    if patch.HasField("tags"):
        row["tags"] = list(patch.tags.values)
    return row | dict.fromkeys(name.removesuffix("_json") for name in patch.clear)
