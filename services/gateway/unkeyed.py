"""Calls without an API key: the path carries a token that names the account and proves itself where it is read."""

from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from starlette.requests import Request

from carillon.campaigns.v1.campaigns_pb2_grpc import CampaignsServiceStub
from chassis import ids
from chassis.call import Outgoing
from chassis.grpc_client import Client
from chassis.ids import AccountId
from services.gateway.backends import Backends

Asked = TypeVar("Asked", bound=Message)
Answered = TypeVar("Answered", bound=Message)


def split(token: str, longest: int) -> tuple[AccountId | None, str]:
    """The account's part and the rest: `<26 characters of acct_…>.<secret>`."""
    account, _, secret = token.partition(".")
    value = ids.decode_suffix(account)
    if value is None or len(secret) > longest:
        return None, ""
    return AccountId(value), secret


def campaigns(request: Request) -> Client[CampaignsServiceStub]:
    backends: Backends = request.app.state.backends
    return backends.campaigns


async def ask(
    request: Request,
    client: Client[Any],
    method: "grpc.aio.UnaryUnaryMultiCallable[Asked, Answered]",
    message: Asked,
    *,
    account: AccountId,
) -> Answered:
    """A call that may be made twice: what is told or followed again changes nothing."""
    return await client.unary(
        method,
        message,
        call=Outgoing(account=account, request_id=request.scope.get("carillon.request_id", "")),
        timeout=request.app.state.settings.call_timeout_seconds,
        safe=True,
    )
