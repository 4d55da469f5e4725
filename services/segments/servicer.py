"""SegmentsService over the wire: messages in, messages out. The contract is in the proto."""

from collections.abc import AsyncIterator
from contextlib import aclosing

from carillon.segments.v1 import segments_pb2 as pb
from chassis.call import Call
from chassis.grpc_server import rpc
from services.segments import contact_facts, convert
from services.segments.service import Edit, Page, Segments


class SegmentsServicer:
    def __init__(self, segments: Segments) -> None:
        self._segments = segments

    @rpc(admits={"gateway"})
    async def CreateSegment(self, call: Call, request: pb.CreateSegmentRequest) -> pb.CreateSegmentResponse:
        return await self._segments.create(call, name=request.name, rule=request.rule_json)

    # Campaigns checks that the segment of a campaign exists.
    @rpc(admits={"gateway", "campaigns"})
    async def GetSegment(self, call: Call, request: pb.GetSegmentRequest) -> pb.GetSegmentResponse:
        found = await self._segments.get(call.account, request.id)
        return pb.GetSegmentResponse(segment=convert.segment(found))

    @rpc(admits={"gateway"})
    async def UpdateSegment(self, call: Call, request: pb.UpdateSegmentRequest) -> pb.UpdateSegmentResponse:
        edit = Edit(
            name=request.name if request.HasField("name") else None,
            rule=request.rule_json if request.HasField("rule_json") else None,
            if_version=request.if_version if request.HasField("if_version") else None,
        )
        return await self._segments.update(call, request.id, edit)

    @rpc(admits={"gateway"})
    async def DeleteSegment(self, call: Call, request: pb.DeleteSegmentRequest) -> pb.DeleteSegmentResponse:
        if_version = request.if_version if request.HasField("if_version") else None
        return await self._segments.delete(call, request.id, if_version=if_version)

    @rpc(admits={"gateway"})
    async def ListSegments(self, call: Call, request: pb.ListSegmentsRequest) -> pb.ListSegmentsResponse:
        page = await self._segments.page(call.account, size=request.page_size, cursor=request.cursor)
        return pb.ListSegmentsResponse(segments=segments_of(page), next_cursor=page.next_cursor)

    @rpc(admits={"gateway"})
    async def ListMembers(self, call: Call, request: pb.ListMembersRequest) -> pb.ListMembersResponse:
        page = await self._segments.members(
            call.account, request.segment_id, size=request.page_size, cursor=request.cursor
        )
        response = pb.ListMembersResponse(next_cursor=page.next_cursor, revision=page.revision)
        for member in page.members:
            message = response.members.add(contact=convert.contact(member.snapshot))
            message.joined_at.FromDatetime(member.joined_at)
        return response

    @rpc(admits={"gateway"})
    async def ListContactSegments(
        self, call: Call, request: pb.ListContactSegmentsRequest
    ) -> pb.ListContactSegmentsResponse:
        page = await self._segments.page_of_contact(
            call.account, request.contact_id, size=request.page_size, cursor=request.cursor
        )
        return pb.ListContactSegmentsResponse(segments=segments_of(page), next_cursor=page.next_cursor)

    @rpc(admits={"gateway"})
    async def PreviewSegment(self, call: Call, request: pb.PreviewSegmentRequest) -> pb.PreviewSegmentResponse:
        found = await self._segments.preview(call.account, request.rule_json)
        sample = [convert.contact(snapshot) for snapshot in found.sample]
        return pb.PreviewSegmentResponse(count=found.count, estimate=found.estimate, sample=sample)

    @rpc(admits={"gateway"})
    async def ExplainMembership(self, call: Call, request: pb.ExplainMembershipRequest) -> pb.ExplainMembershipResponse:
        told = await self._segments.explain(call.account, request.segment_id, request.contact_id)
        response = pb.ExplainMembershipResponse(
            member=told.joined_at is not None,
            matches=told.explanation.matches,
            leaves=[convert.explained(one) for one in told.explanation.leaves],
        )
        response.as_of.FromDatetime(told.as_of)
        if told.joined_at is not None:
            response.joined_at.FromDatetime(told.joined_at)
        if told.explanation.flips_at is not None:
            response.flips_at.FromDatetime(contact_facts.time_of(told.explanation.flips_at))
        return response

    @rpc(admits={"campaigns", "contacts"})
    async def StreamAudience(
        self, call: Call, request: pb.StreamAudienceRequest
    ) -> AsyncIterator[pb.StreamAudienceResponse]:
        # Closed at once when the caller goes away: it holds a database connection.
        async with aclosing(self._segments.audience(call.account, request.segment_id)) as batches:
            async for snapshots in batches:
                yield pb.StreamAudienceResponse(contacts=[convert.contact(snapshot) for snapshot in snapshots])


def segments_of(page: Page) -> list[pb.Segment]:
    return [convert.segment(found) for found in page.segments]
