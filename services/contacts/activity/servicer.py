"""carillon.contacts.v1.ActivityService: from the wire to the service and back."""

from datetime import UTC, datetime

from carillon.contacts.v1 import activity_pb2 as pb
from chassis import ids
from chassis.call import Call
from chassis.grpc_server import rpc
from services.contacts import errors
from services.contacts.activity import convert
from services.contacts.activity.record import Note, Reply
from services.contacts.activity.service import ActivityService
from services.contacts.convert import CHANNEL_NAMES
from services.contacts.domain import activity, metadata
from services.contacts.domain.problems import Refused, invalid

EDGE = {"gateway"}


class ActivityServicer:
    def __init__(self, activity: ActivityService) -> None:
        self._activity = activity

    @rpc(admits=EDGE)
    async def ListActivity(self, call: Call, request: pb.ListActivityRequest) -> pb.ListActivityResponse:
        found, cursor = await self._activity.timeline(
            call, request.contact_id, page_size=request.page_size, cursor=request.cursor
        )
        return pb.ListActivityResponse(activity=map(convert.activity, found), next_cursor=cursor)

    @rpc(admits=EDGE)
    async def AddActivity(self, call: Call, request: pb.AddActivityRequest) -> pb.AddActivityResponse:
        with errors.refusing():
            note = read_note(request, actor=request.actor or call.issuer)
        return await self._activity.add(call, request.contact_id, note)

    @rpc(admits=EDGE)
    async def ListMessages(self, call: Call, request: pb.ListMessagesRequest) -> pb.ListMessagesResponse:
        found, cursor = await self._activity.messages(
            call, request.contact_id, page_size=request.page_size, cursor=request.cursor
        )
        messages = [convert.reply(one) if isinstance(one, Reply) else convert.message(one) for one in found]
        return pb.ListMessagesResponse(messages=messages, next_cursor=cursor)


def read_note(request: pb.AddActivityRequest, *, actor: str) -> Note:
    """Raises Refused."""
    now = datetime.now(UTC)
    at = request.at.ToDatetime(UTC) if request.HasField("at") else now
    activity.check(request.type, request.text, at=at, now=now)
    if request.channel and request.channel not in CHANNEL_NAMES:
        raise Refused(invalid("channel", "The channel is not known."))
    data = metadata.parse(request.data_json, field="data") if request.data_json else {}
    return Note(
        at=at,
        id=ids.new(),
        type=request.type,
        channel=CHANNEL_NAMES.get(request.channel),
        text=request.text,
        data=metadata.dump(data),
        actor=actor,
    )
