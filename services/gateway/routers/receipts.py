"""What providers call: delivery receipts. No API key: the path's token is the sender's secret."""

from starlette.requests import Request
from starlette.responses import Response

from carillon.campaigns.v1 import campaigns_pb2 as pb
from chassis import ids
from chassis.call import Outgoing
from chassis.errors import Reason
from chassis.ids import AccountId
from services.gateway.backends import Backends
from services.gateway.convert import campaigns as convert
from services.gateway.errors import unknown_id
from services.gateway.routes import PUBLIC, Routes
from services.gateway.schemas import receipts as schemas

routes = Routes("Hooks")

MAX_SECRET_LENGTH = 200


@routes.add(
    "POST",
    "/hooks/{sender_id}/{token}/receipts",
    operation_id="recordReceipts",
    summary="Delivery receipts from a provider",
    scope=PUBLIC,
    answer=schemas.ReceiptsTaken,
    reasons=[Reason.NOT_FOUND, Reason.UNAUTHENTICATED, Reason.VALIDATION_FAILED],
)
async def record_receipts(request: Request, sender_id: str, token: str, body: schemas.Receipts) -> Response:
    """Answered when they are stored: what is not 2xx is to be sent again. A wrong token is refused."""
    account, secret = split(token)
    if account is None or not secret or ids.decode("sender", sender_id) is None:
        raise unknown_id("sender")
    stored = 0
    if body.receipts:
        stored = await store(request, account=account, sender_id=sender_id, secret=secret, body=body)
    return Response(b'{"stored":%d}' % stored, media_type="application/json")


async def store(request: Request, *, account: AccountId, sender_id: str, secret: str, body: schemas.Receipts) -> int:
    backends: Backends = request.app.state.backends
    client = backends.campaigns
    answer = await client.unary(
        client.stub.RecordReceipts,
        pb.RecordReceiptsRequest(
            sender_id=sender_id, token=secret, receipts=[convert.receipt(one) for one in body.receipts]
        ),
        call=Outgoing(account=account, request_id=request.scope.get("carillon.request_id", "")),
        timeout=request.app.state.settings.call_timeout_seconds,
        # Storing a receipt twice changes nothing.
        safe=True,
    )
    return answer.stored


def split(token: str) -> tuple[AccountId | None, str]:
    """The account's part and the secret: `<26 characters of acct_…>.<secret>`."""
    account, _, secret = token.partition(".")
    value = ids.decode_suffix(account)
    if value is None or len(secret) > MAX_SECRET_LENGTH:
        return None, ""
    return AccountId(value), secret
