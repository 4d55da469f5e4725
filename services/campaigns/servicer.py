"""The gRPC face of campaigns: each method hands over to the service that does it."""

from collections.abc import AsyncIterator

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis.call import Call
from chassis.grpc_server import rpc
from services.campaigns.service.audiences import Audiences
from services.campaigns.service.campaigns import Campaigns
from services.campaigns.service.links import FollowedLinks
from services.campaigns.service.previews import Previews
from services.campaigns.service.quiet_hours import QuietHours
from services.campaigns.service.receipts import Receipts
from services.campaigns.service.recipients import Recipients
from services.campaigns.service.sender_trials import SenderTrials
from services.campaigns.service.senders import Senders
from services.campaigns.service.templates import Templates
from services.campaigns.service.timelines import Timelines
from services.campaigns.service.trials import Trials
from services.campaigns.service.uploads import Uploads


class CampaignsServicer:
    def __init__(
        self,
        *,
        templates: Templates,
        senders: Senders,
        campaigns: Campaigns,
        audiences: Audiences,
        trials: Trials,
        uploads: Uploads,
        recipients: Recipients,
        receipts: Receipts,
        quiet_hours: QuietHours,
        links: FollowedLinks,
        timelines: Timelines,
        previews: Previews,
        sender_trials: SenderTrials,
    ) -> None:
        self._templates = templates
        self._senders = senders
        self._campaigns = campaigns
        self._audiences = audiences
        self._trials = trials
        self._uploads = uploads
        self._recipients = recipients
        self._receipts = receipts
        self._quiet_hours = quiet_hours
        self._links = links
        self._timelines = timelines
        self._previews = previews
        self._sender_trials = sender_trials

    @rpc(admits={"gateway"})
    async def CreateTemplate(self, call: Call, request: pb.CreateTemplateRequest) -> pb.CreateTemplateResponse:
        return await self._templates.create(call, request)

    @rpc(admits={"gateway"})
    async def GetTemplate(self, call: Call, request: pb.GetTemplateRequest) -> pb.GetTemplateResponse:
        return await self._templates.get(call, request)

    @rpc(admits={"gateway"})
    async def UpdateTemplate(self, call: Call, request: pb.UpdateTemplateRequest) -> pb.UpdateTemplateResponse:
        return await self._templates.update(call, request)

    @rpc(admits={"gateway"})
    async def DeleteTemplate(self, call: Call, request: pb.DeleteTemplateRequest) -> pb.DeleteTemplateResponse:
        return await self._templates.delete(call, request)

    @rpc(admits={"gateway"})
    async def ListTemplates(self, call: Call, request: pb.ListTemplatesRequest) -> pb.ListTemplatesResponse:
        return await self._templates.page(call, request)

    @rpc(admits={"gateway"})
    async def RenderTemplate(self, call: Call, request: pb.RenderTemplateRequest) -> pb.RenderTemplateResponse:
        return await self._previews.render(call, request)

    @rpc(admits={"gateway"})
    async def CreateSender(self, call: Call, request: pb.CreateSenderRequest) -> pb.CreateSenderResponse:
        return await self._senders.create(call, request)

    @rpc(admits={"gateway"})
    async def GetSender(self, call: Call, request: pb.GetSenderRequest) -> pb.GetSenderResponse:
        return await self._senders.get(call, request)

    @rpc(admits={"gateway"})
    async def UpdateSender(self, call: Call, request: pb.UpdateSenderRequest) -> pb.UpdateSenderResponse:
        return await self._senders.update(call, request)

    @rpc(admits={"gateway"})
    async def DeleteSender(self, call: Call, request: pb.DeleteSenderRequest) -> pb.DeleteSenderResponse:
        return await self._senders.delete(call, request)

    @rpc(admits={"gateway"})
    async def ListSenders(self, call: Call, request: pb.ListSendersRequest) -> pb.ListSendersResponse:
        return await self._senders.page(call, request)

    @rpc(admits={"gateway"})
    async def TestSender(self, call: Call, request: pb.TestSenderRequest) -> pb.TestSenderResponse:
        return await self._sender_trials.send(call, request)

    @rpc(admits={"gateway"})
    async def CreateCampaign(self, call: Call, request: pb.CreateCampaignRequest) -> pb.CreateCampaignResponse:
        return await self._campaigns.create(call, request)

    @rpc(admits={"gateway"})
    async def GetCampaign(self, call: Call, request: pb.GetCampaignRequest) -> pb.GetCampaignResponse:
        return await self._campaigns.get(call, request)

    @rpc(admits={"gateway"})
    async def UpdateCampaign(self, call: Call, request: pb.UpdateCampaignRequest) -> pb.UpdateCampaignResponse:
        return await self._campaigns.update(call, request)

    @rpc(admits={"gateway"})
    async def DeleteCampaign(self, call: Call, request: pb.DeleteCampaignRequest) -> pb.DeleteCampaignResponse:
        return await self._campaigns.delete(call, request)

    @rpc(admits={"gateway"})
    async def ListCampaigns(self, call: Call, request: pb.ListCampaignsRequest) -> pb.ListCampaignsResponse:
        return await self._campaigns.page(call, request)

    @rpc(admits={"gateway"})
    async def StartCampaign(self, call: Call, request: pb.StartCampaignRequest) -> pb.StartCampaignResponse:
        return await self._campaigns.start(call, request)

    @rpc(admits={"gateway"})
    async def PauseCampaign(self, call: Call, request: pb.PauseCampaignRequest) -> pb.PauseCampaignResponse:
        return await self._campaigns.pause(call, request)

    @rpc(admits={"gateway"})
    async def ResumeCampaign(self, call: Call, request: pb.ResumeCampaignRequest) -> pb.ResumeCampaignResponse:
        return await self._campaigns.resume(call, request)

    @rpc(admits={"gateway"})
    async def CancelCampaign(self, call: Call, request: pb.CancelCampaignRequest) -> pb.CancelCampaignResponse:
        return await self._campaigns.cancel(call, request)

    @rpc(admits={"gateway"})
    async def CloneCampaign(self, call: Call, request: pb.CloneCampaignRequest) -> pb.CloneCampaignResponse:
        return await self._campaigns.clone(call, request)

    @rpc(admits={"gateway"})
    async def TestCampaign(self, call: Call, request: pb.TestCampaignRequest) -> pb.TestCampaignResponse:
        return await self._trials.send(call, request)

    @rpc(admits={"gateway"})
    async def GetAudience(self, call: Call, request: pb.GetAudienceRequest) -> pb.GetAudienceResponse:
        return await self._audiences.get(call, request)

    @rpc(admits={"gateway"})
    async def EstimateAudience(self, call: Call, request: pb.EstimateAudienceRequest) -> pb.EstimateAudienceResponse:
        return await self._audiences.estimate(call, request)

    @rpc(admits={"gateway"})
    async def UploadRecipients(
        self, call: Call, requests: AsyncIterator[pb.UploadRecipientsRequest]
    ) -> pb.UploadRecipientsResponse:
        return await self._uploads.upload(call, requests)

    @rpc(admits={"gateway", "contacts"})
    async def ListRecipients(self, call: Call, request: pb.ListRecipientsRequest) -> pb.ListRecipientsResponse:
        return await self._recipients.page(call, request)

    @rpc(admits={"gateway"})
    async def GetQuietHours(self, call: Call, request: pb.GetQuietHoursRequest) -> pb.GetQuietHoursResponse:
        return await self._quiet_hours.get(call, request)

    @rpc(admits={"gateway"})
    async def SetQuietHours(self, call: Call, request: pb.SetQuietHoursRequest) -> pb.SetQuietHoursResponse:
        return await self._quiet_hours.set(call, request)

    @rpc(admits={"gateway"})
    async def TakeHook(self, call: Call, request: pb.TakeHookRequest) -> pb.TakeHookResponse:
        return await self._receipts.take(call, request)

    @rpc(admits={"gateway"})
    async def TakeReceipts(self, call: Call, request: pb.TakeReceiptsRequest) -> pb.TakeReceiptsResponse:
        return await self._receipts.take_many(call, request)

    @rpc(admits={"gateway"})
    async def FollowLink(self, call: Call, request: pb.FollowLinkRequest) -> pb.FollowLinkResponse:
        return await self._links.follow(call, request)

    @rpc(admits={"gateway"})
    async def GetTimeline(self, call: Call, request: pb.GetTimelineRequest) -> pb.GetTimelineResponse:
        return await self._timelines.page(call, request)
