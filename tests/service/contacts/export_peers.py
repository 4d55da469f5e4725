"""Segments and campaigns as the exports ask them, replaced at the stub by servers of the test's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from carillon.campaigns.v1 import campaigns_pb2
from carillon.campaigns.v1.campaigns_pb2_grpc import CampaignsServiceStub
from carillon.contacts.v1 import contacts_pb2
from carillon.segments.v1 import segments_pb2
from carillon.segments.v1.segments_pb2_grpc import SegmentsServiceStub
from chassis.call import Call
from chassis.errors import NotFound, Reason
from chassis.grpc_client import Client
from chassis.grpc_server import Server, rpc
from services.contacts.exports.peers import Campaigns, Segments
from tests.service.gateway.fakes import FakeService
from tests.service.stack import Keys


class ExportPeers:
    def __init__(self) -> None:
        # Ids of the members by segment, pages of recipients by campaign.
        self.members: dict[str, list[list[str]]] = {}
        self.recipients: dict[str, list[list[campaigns_pb2.Recipient]]] = {}
        self.asked: list[campaigns_pb2.ListRecipientsRequest] = []

    @rpc(admits={"contacts"})
    async def stream_audience(
        self, call: Call, request: segments_pb2.StreamAudienceRequest
    ) -> AsyncIterator[segments_pb2.StreamAudienceResponse]:
        assert call.issuer == "contacts"
        if request.segment_id not in self.members:
            raise NotFound(Reason.NOT_FOUND, "no such segment")
        for page in self.members[request.segment_id]:
            yield segments_pb2.StreamAudienceResponse(contacts=[contacts_pb2.Contact(id=one) for one in page])

    def list_recipients(self, request: campaigns_pb2.ListRecipientsRequest) -> campaigns_pb2.ListRecipientsResponse:
        self.asked.append(request)
        pages = self.recipients[request.campaign_id]
        at = int(request.cursor or 0)
        return campaigns_pb2.ListRecipientsResponse(
            recipients=pages[at],
            channel=contacts_pb2.CHANNEL_SMS,
            next_cursor=str(at + 1) if at + 1 < len(pages) else "",
        )

    @asynccontextmanager
    async def serving(self, keys: Keys) -> AsyncIterator[tuple[Segments, Campaigns]]:
        segments = FakeService(segments_pb2.DESCRIPTOR.services_by_name["SegmentsService"], admits={"contacts"})
        segments.StreamAudience = self.stream_audience  # type: ignore[attr-defined]
        campaigns = FakeService(campaigns_pb2.DESCRIPTOR.services_by_name["CampaignsService"], admits={"contacts"})
        campaigns.answers["ListRecipients"] = self.list_recipients
        servers = {"segments": Server("127.0.0.1:0", keys.verifier("segments"))}
        servers["campaigns"] = Server("127.0.0.1:0", keys.verifier("campaigns"))
        for server, fake in zip(servers.values(), (segments, campaigns), strict=True):
            server.add(fake.descriptor, fake)
            await server.start()
        ports = {name: f"127.0.0.1:{server.port}" for name, server in servers.items()}
        signer = keys.signer("contacts")
        to_segments = Client(ports["segments"], SegmentsServiceStub, audience="segments", signer=signer)
        to_campaigns = Client(ports["campaigns"], CampaignsServiceStub, audience="campaigns", signer=signer)
        yield Segments(to_segments), Campaigns(to_campaigns)
        await to_segments.stop()
        await to_campaigns.stop()
        for server in servers.values():
            await server.stop()
