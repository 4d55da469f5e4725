"""carillon.contacts.v1.RepliesService: from the wire to the service and back."""

from datetime import UTC

from carillon.contacts.v1 import replies_pb2 as pb
from chassis import ids
from chassis.call import Call
from chassis.grpc_server import rpc
from services.contacts import errors
from services.contacts.consent.convert import SAID
from services.contacts.convert import CHANNEL_NAMES
from services.contacts.domain import limits
from services.contacts.domain.messaging import fold
from services.contacts.domain.problems import Refused, invalid
from services.contacts.replies.record import Heard
from services.contacts.replies.service import ReplyService


class RepliesServicer:
    def __init__(self, replies: ReplyService) -> None:
        self._replies = replies

    @rpc(admits={"campaigns"})
    async def TakeReplies(self, call: Call, request: pb.TakeRepliesRequest) -> pb.TakeRepliesResponse:
        with errors.refusing():
            if len(request.replies) > limits.REPLIES:
                raise Refused(invalid("replies", f"At most {limits.REPLIES} replies at once."))
            told = [read(reply, at) for at, reply in enumerate(request.replies)]
        return pb.TakeRepliesResponse(contact_ids=await self._replies.take(call, told))


def read(reply: pb.Reply, at: int) -> Heard:
    """Raises Refused for what breaks the contract. Whatever people write is taken, cut to what is kept."""
    reply_id, channel = ids.decode("msg", reply.id), CHANNEL_NAMES.get(reply.channel)
    if reply_id is None or channel is None or not reply.HasField("at"):
        raise Refused(invalid(f"replies/{at}", "A reply has an id, a channel and a time."))
    return Heard(
        id=reply_id,
        channel=channel,
        address=fold(reply.address, by_email="@" in reply.address),
        to=reply.to.replace("\0", ""),
        text=reply.text.replace("\0", "")[: limits.ACTIVITY_TEXT_CHARACTERS],
        at=reply.at.ToDatetime(UTC),
        says=SAID[reply.says] if reply.says else None,
        source=reply.source[: limits.SOURCE_CHARACTERS],
        campaign_id=ids.decode("cmp", reply.campaign_id),
        recipient_id=ids.decode("rcp", reply.recipient_id),
        is_message=reply.is_message,
    )
