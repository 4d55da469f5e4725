"""What providers call: receipts, and messages of recipients. No API key: the path's token is the sender's secret.

The body goes on as it came, since the provider's signature is over its bytes; the campaigns service reads it.
"""

from starlette.requests import Request
from starlette.responses import Response

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis import ids
from chassis.errors import Reason
from services.gateway import unkeyed
from services.gateway.draining import read_up_to
from services.gateway.errors import unknown_id
from services.gateway.posts import Posts
from services.gateway.routes import JSON_LIMIT_BYTES, PUBLIC, Routes
from services.gateway.schemas import receipts as schemas

routes = Routes("Hooks")

MAX_SECRET_LENGTH = 200
SIGNATURES = ("x-hub-signature-256", "x-twilio-signature")
REASONS = [
    Reason.NOT_FOUND,
    Reason.UNAUTHENTICATED,
    Reason.VALIDATION_FAILED,
    Reason.OVERLOADED,
]


@routes.add(
    "POST",
    "/hooks/{sender_id}/{token}/receipts",
    operation_id="recordReceipts",
    summary="Delivery receipts from a provider",
    scope=PUBLIC,
    answer=schemas.Taken,
    reasons=REASONS,
    upload=schemas.RECEIPTS_BODY,
)
async def record_receipts(request: Request, sender_id: str, token: str) -> Response:
    """Answered when they are stored: what is not 2xx is to be sent again. A wrong token or signature is refused. What
    is told twice, late or in another order changes nothing."""
    return await take(request, pb.HOOK_RECEIPTS, sender_id=sender_id, token=token)


@routes.add(
    "POST",
    "/hooks/{sender_id}/{token}/inbound",
    operation_id="recordInbound",
    summary="Messages from recipients, by a provider",
    scope=PUBLIC,
    answer=schemas.Taken,
    reasons=REASONS,
    upload=schemas.INBOUND_BODY,
)
async def record_inbound(request: Request, sender_id: str, token: str) -> Response:
    """Answered when they are stored, and one that opts out (STOP and its equals) or in when that is in force: nothing
    is sent on the channel to somebody whose STOP was answered with 2xx. Twilio is answered in XML."""
    return await take(request, pb.HOOK_INBOUND, sender_id=sender_id, token=token)


async def take(request: Request, hook: pb.Hook.ValueType, *, sender_id: str, token: str) -> Response:
    account, secret = unkeyed.split(token, MAX_SECRET_LENGTH)
    if account is None or not secret or ids.decode("sender", sender_id) is None:
        raise unknown_id("sender")
    body = await read_up_to(request, JSON_LIMIT_BYTES)
    headers = request.headers
    post = pb.TakeHookRequest(
        sender_id=sender_id,
        token=secret,
        hook=hook,
        body=body,
        content_type=headers.get("content-type", "")[:MAX_SECRET_LENGTH],
        query=request.scope["query_string"].decode("latin-1"),
        signatures={name: headers[name] for name in SIGNATURES if name in headers},
    )
    if hook == pb.HOOK_RECEIPTS:
        posts: Posts = request.app.state.posts
        answer = await posts.take(account, post)
    else:
        # One that opts out is answered when contacts has it; others are not to wait for that.
        client = unkeyed.campaigns(request)
        answer = await unkeyed.ask(request, client, client.stub.TakeHook, post, account=account)
    return Response(answer.body, media_type=answer.content_type)
