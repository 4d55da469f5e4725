"""What providers call: receipts, and messages of recipients. No API key: the path's token is the sender's secret.

The body goes on as it came, since the provider's signature is over its bytes; the campaigns service reads it.
"""

from starlette.requests import Request
from starlette.responses import Response

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis import ids
from chassis.call import Outgoing
from chassis.errors import Reason
from chassis.ids import AccountId
from services.gateway.backends import Backends
from services.gateway.draining import read_up_to
from services.gateway.errors import unknown_id
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
    account, secret = split(token, MAX_SECRET_LENGTH)
    if account is None or not secret or ids.decode("sender", sender_id) is None:
        raise unknown_id("sender")
    body = await read_up_to(request, JSON_LIMIT_BYTES)
    headers = request.headers
    backends: Backends = request.app.state.backends
    client = backends.campaigns
    answer = await client.unary(
        client.stub.TakeHook,
        pb.TakeHookRequest(
            sender_id=sender_id,
            token=secret,
            hook=hook,
            body=body,
            content_type=headers.get("content-type", "")[:MAX_SECRET_LENGTH],
            query=request.scope["query_string"].decode("latin-1"),
            signatures={name: headers[name] for name in SIGNATURES if name in headers},
        ),
        call=Outgoing(account=account, request_id=request.scope.get("carillon.request_id", "")),
        timeout=request.app.state.settings.call_timeout_seconds,
        # What is told twice changes nothing.
        safe=True,
    )
    return Response(answer.body, media_type=answer.content_type)


def split(token: str, longest: int) -> tuple[AccountId | None, str]:
    """The account's part and the rest: `<26 characters of acct_…>.<secret>`."""
    account, _, secret = token.partition(".")
    value = ids.decode_suffix(account)
    if value is None or len(secret) > longest:
        return None, ""
    return AccountId(value), secret
