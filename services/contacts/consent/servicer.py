"""carillon.contacts.v1.ConsentService: from the wire to the service and back."""

from carillon.contacts.v1 import consent_pb2 as pb
from chassis.call import Call
from chassis.grpc_server import rpc
from services.contacts import errors
from services.contacts.consent import convert
from services.contacts.consent.service import ConsentService
from services.contacts.convert import CHANNEL_NAMES
from services.contacts.domain.consent import Preference, read_evidence
from services.contacts.domain.problems import invalid
from services.contacts.listing.requests import read_search

EDGE = {"gateway"}


class ConsentServicer:
    def __init__(self, consent: ConsentService) -> None:
        self._consent = consent

    @rpc(admits=EDGE)
    async def SetPreferences(self, call: Call, request: pb.SetPreferencesRequest) -> pb.SetPreferencesResponse:
        with errors.refusing():
            evidence = read_evidence(source=request.source, text=request.text, actor=request.actor or call.issuer)
        return await self._consent.set_preferences(
            call,
            request.id,
            wanted=wanted(request),
            evidence=evidence,
            if_version=request.if_version if request.HasField("if_version") else None,
        )

    @rpc(admits=EDGE)
    async def ListConsents(self, call: Call, request: pb.ListConsentsRequest) -> pb.ListConsentsResponse:
        found, cursor = await self._consent.consents(
            call, request.contact_id, page_size=request.page_size, cursor=request.cursor
        )
        return pb.ListConsentsResponse(consents=map(convert.consent, found), next_cursor=cursor)

    @rpc(admits=EDGE)
    async def ListOptouts(self, call: Call, request: pb.ListOptoutsRequest) -> pb.ListOptoutsResponse:
        channel = CHANNEL_NAMES.get(request.channel)
        if request.channel and channel is None:
            raise errors.invalid([invalid("channel", "The channel is not known.")])
        found, cursor = await self._consent.optouts(
            call,
            channel=channel,
            search=read_search(request.search),
            page_size=request.page_size,
            cursor=request.cursor,
        )
        return pb.ListOptoutsResponse(optouts=map(convert.optout, found), next_cursor=cursor)

    @rpc(admits=EDGE)
    async def GetConsentRules(self, call: Call, request: pb.GetConsentRulesRequest) -> pb.GetConsentRulesResponse:
        return pb.GetConsentRulesResponse(rules=await self._consent.rules(call))

    @rpc(admits=EDGE)
    async def UpdateConsentRules(
        self, call: Call, request: pb.UpdateConsentRulesRequest
    ) -> pb.UpdateConsentRulesResponse:
        given = request.require_opt_in if request.HasField("require_opt_in") else None
        return await self._consent.update_rules(call, require_opt_in=given)


def wanted(request: pb.SetPreferencesRequest) -> dict[str, Preference]:
    """Raises InvalidArgument."""
    unknown = [channel for channel, said in request.preferences.items() if said not in convert.SAID]
    if unknown:
        raise errors.invalid([invalid(f"preferences/{name[:64]}", "The preference is not known.") for name in unknown])
    return {channel: convert.SAID[said] for channel, said in request.preferences.items()}
